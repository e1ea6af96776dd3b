# embed-sql.awk - turns schema/<dialect>/<name>.sql into one C file with the table sql_sources[].
#
# A statement file opens with comment lines
#   -- <name>: purpose. args: a b c (or none) cols: itt (or none) write: yes|no
# (it may go on over several comment lines) and holds one statement. Comments go, white space outside of quotes becomes
# one blank. The number of ? marks has to be the number of args, where a name that ends in "ids" stands for
# a list, written {ids} in the text. A file without "args:" in its opening comment is a script: comments go, lines stay.
# Any mistake is one sentence on stderr and exit 1.

function fail(text)
{
	print FILE ": " text >"/dev/stderr"
	failed = 1
}

function c_string(s,    i, c, out, line)
{
	out = ""
	line = ""
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		if (c == "\\" || c == "\"")
			c = "\\" c
		else if (c == "\n")
			c = "\\n"
		else if (c == "?" && substr(s, i - 1, 1) == "?")
			c = "\\?" # no trigraphs
		line = line c
		if (length(line) > 88 || c == "\\n") {
			out = out "\n\t  \"" line "\""
			line = ""
		}
	}
	if (line != "" || out == "")
		out = out "\n\t  \"" line "\""
	return out
}

function trim(s)
{
	sub(/^[ \t]+/, "", s)
	sub(/[ \t]+$/, "", s)
	return s
}

# The word or words behind "label:" up to the next label.
function field(label,    s, i)
{
	i = index(HEAD, label)
	if (i == 0)
		return ""
	s = substr(HEAD, i + length(label))
	sub(/(args:|cols:|write:).*$/, "", s)
	return trim(s)
}

function flush(    dialect, name, s, a, n, i, args, cols, write, want, is_script, key)
{
	if (FILE == "")
		return
	n = split(FILE, a, "/")
	name = a[n]
	sub(/\.sql$/, "", name)
	dialect = a[n - 1]
	is_script = (index(HEAD, "args:") == 0)
	args = ""
	cols = ""
	write = 1
	want = 0
	s = TEXT
	if (QUOTE != "")
		fail("a quote (" QUOTE ") is not closed.")
	if (!is_script) {
		if (index(HEAD, name ":") != 1)
			fail("the first line has to begin with \"-- " name ":\", the name of the file.")
		sub(/[ ;]+$/, "", s)
		if (s == "")
			fail("holds no statement.")
		args = field("args:")
		if (args == "")
			fail("names no args: write the names in order, or none.")
		sub(/\.$/, "", args)
		gsub(/[ ,]+/, " ", args)
		if (args == "none")
			args = ""
		n = split(args, a, " ")
		for (i = 1; i <= n; i++)
			if (a[i] !~ /ids$/)
				want++
		if (want != MARKS)
			fail("has " MARKS " ? marks and names " want " args (" args ").")
		cols = field("cols:")
		if (cols == "none")
			cols = ""
		else if (cols !~ /^[itb]+$/)
			fail("cols: has one letter i, t or b for each column, or none; found \"" cols "\".")
		write = field("write:")
		sub(/[. ].*$/, "", write)
		if (write != "yes" && write != "no")
			fail("write: is yes or no; found \"" write "\".")
		write = (write == "yes")
	}
	key = dialect "/" name
	if (key in row)
		fail("is listed twice.")
	row[key] = "\t{ \"" dialect "\", \"" name "\"," c_string(s) ",\n\t  \"" cols "\", " \
		(write ? "true" : "false") ", \"" args "\", " want ", " (is_script ? "true" : "false") " },"
	keys[++count] = key
}

FNR == 1 {
	flush()
	FILE = FILENAME
	HEAD = ""
	TEXT = ""
	QUOTE = ""
	MARKS = 0
	in_head = 1
}

{
	sub(/\r$/, "")
}

in_head && /^--/ {
	line = $0
	sub(/^--[ \t]*/, "", line)
	HEAD = HEAD (HEAD == "" ? "" : " ") line
	next
}

{
	in_head = 0
	script = (index(HEAD, "args:") == 0)
	out = ""
	len = length($0)
	for (i = 1; i <= len; i++) {
		c = substr($0, i, 1)
		if (QUOTE != "") {
			if (c == QUOTE)
				QUOTE = ""
		} else if (c == "'" || c == "\"" || c == "`") {
			QUOTE = c
		} else if (c == "-" && substr($0, i + 1, 1) == "-") {
			break
		} else if (c == "?") {
			MARKS++
		} else if (!script && (c == " " || c == "\t")) {
			if (out == "" || substr(out, length(out), 1) == " ")
				continue
			c = " "
		}
		out = out c
	}
	if (QUOTE == "")
		sub(/[ \t]+$/, "", out)
	if (out == "" && QUOTE == "")
		next
	TEXT = TEXT (TEXT == "" ? "" : (script || QUOTE != "" ? "\n" : " ")) out
}

END {
	flush()
	if (failed)
		exit 1
	for (i = 2; i <= count; i++) {
		k = keys[i]
		for (j = i - 1; j >= 1 && keys[j] > k; j--)
			keys[j + 1] = keys[j]
		keys[j + 1] = k
	}
	print "/* Made by scripts/embed-sql.awk from schema. */"
	print "#include \"config.h\""
	print "#include \"schema/sql_source.h\"\n"
	print "const struct sql_source sql_sources[] = {"
	for (i = 1; i <= count; i++)
		print row[keys[i]]
	print "\t{ \"\", \"\", \"\", \"\", false, \"\", 0, false },"
	print "};"
	print "const size_t sql_source_count = " (count + 0) ";"
}
