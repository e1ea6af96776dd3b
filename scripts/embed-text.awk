# embed-text.awk - turns text files into one C file with the table embedded_texts[] (agent/codemap.c).
#
# The name of a text is the file's name without folder and ending. Comment lines (#) and empty ones become bare line
# ends, so that line numbers stay.

function open_text(    name)
{
	name = FILENAME
	sub(/^.*\//, "", name)
	sub(/\.[^.]*$/, "", name)
	printf "%s\t{ \"%s\",\n", texts++ ? "\t},\n" : "", name
}

BEGIN {
	print "/* made by scripts/embed-text.awk, do not edit */"
	print "#include \"config.h\""
	print "#include \"agent/codemap.h\""
	print ""
	print "const struct embedded_text embedded_texts[] = {"
}

FNR == 1 {
	open_text()
}

{
	if ($0 ~ /^[ \t]*(#|$)/)
		$0 = ""
	gsub(/\\/, "\\\\")
	gsub(/"/, "\\\"")
	gsub(/[ \t]+/, " ")
	printf "\t  \"%s\\n\"\n", $0
}

END {
	if (texts)
		print "\t},"
	print "\t{ NULL, NULL },"
	print "};"
}
