#!/bin/sh
# embed_sql.sh - scripts/embed-sql.awk takes good statement files and refuses bad ones with a sentence.
set -u
src=${MTRELAY_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
n=0

result()
{
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}

embed()
{
	(cd "$dir" && LC_ALL=C "${AWK:-awk}" -f "$src/scripts/embed-sql.awk" "$@" </dev/null)
}

put()
{
	mkdir -p "$dir/$(dirname "$1")"
	cat >"$dir/$1"
}

# refuses NAME SENTENCE: the file on stdin is refused with a text that holds the sentence.
refuses()
{
	put "schema/d/bad.sql"
	if out=$(embed schema/d/bad.sql 2>&1 >/dev/null); then
		result 1 "$1"
	elif printf '%s\n' "$out" | grep -q "^schema/d/bad.sql: .*$2"; then
		result 0 "$1"
	else
		echo "# $out"
		result 1 "$1"
	fi
}

put schema/mysql/claim_mark.sql <<'X'
-- claim_mark: marks rows as ours.
-- args: owner ids cols: none write: yes.
UPDATE {send}   -- a comment
	SET owner = ?,  note = 'it''s --  "kept"'
 WHERE msg_id IN ({ids});
X
put schema/mysql/alpha.sql <<'X'
-- alpha: reads. args: none cols: itb write: no
SELECT a, 'two
lines', `c--d` FROM {send}
X
put schema/db2/create.sql <<'X'
-- The tables.
CREATE TABLE a (b INT); -- why

INSERT INTO a VALUES ('x');
X
out=$(embed schema/mysql/claim_mark.sql schema/mysql/alpha.sql schema/db2/create.sql)
result $? "good files are taken"
has()
{
	printf '%s\n' "$out" | grep -qF -- "$1"
	result $? "$2"
}
has "UPDATE {send} SET owner = ?, note = 'it''s --  \\\"kept\\\"' WHERE msg_id IN ({ids})\"" "blanks and comments go, quotes stay"
has '"", true, "owner ids", 1, false },' "lists do not count as marks"
has '"itb", false, "", 0, false },' "columns, reading, no args"
has '`c--d` FROM {send}"' "a quoted name is no comment"
has '"CREATE TABLE a (b INT);\n"' "a script keeps its lines"
has '"", true, "", 0, true },' "a script says so"
has 'sql_source_count = 3;' "all are counted"
order=$(printf '%s\n' "$out" | sed -n 's/^	{ "\([a-z0-9]*\)", "\([a-z_]*\)",$/\1.\2/p' | tr '\n' ' ')
[ "$order" = "db2.create mysql.alpha mysql.claim_mark " ]
result $? "sorted by dialect and name"
empty=$(embed)
printf '%s\n' "$empty" | grep -q 'sql_source_count = 0;'
result $? "no file gives an empty table"

refuses "a wrong name" "begin with" <<'X'
-- good: reads. args: none cols: i write: no
SELECT 1
X
refuses "too few args" "has 2 ? marks and names 1" <<'X'
-- bad: reads. args: a cols: i write: no
SELECT ?, ?
X
refuses "an unknown column letter" "one letter i, t or b" <<'X'
-- bad: reads. args: none cols: x write: no
SELECT 1
X
refuses "no word on writing" "write: is yes or no" <<'X'
-- bad: reads. args: none cols: i
SELECT 1
X
refuses "an open quote" "not closed" <<'X'
-- bad: reads. args: none cols: t write: no
SELECT 'x
X
refuses "an empty statement" "no statement" <<'X'
-- bad: reads. args: none cols: t write: no
X
if embed schema/mysql/alpha.sql schema/mysql/alpha.sql >/dev/null 2>&1; then result 1 "listed twice"; else result 0 "listed twice"; fi
echo "1..$n"
