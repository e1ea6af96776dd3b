# schema/sources.mk - the SQL of each dialect and how it gets into the programs.
#
# Add a statement: put schema/<dialect>/<name>.sql into the list of its dialect. Its first line is
#   -- <name>: purpose. args: a b c (or none) cols: itt (or none) write: yes|no
# and says one statement; see schema/sql_source.h for the rules that scripts/embed-sql.awk checks. A file whose
# first line is a comment without "args:" is a script of several statements (create.sql, grants.sql ...).

schema_sql =

# mysql
schema_sql +=

# postgresql
schema_sql +=

# sqlite
schema_sql +=

libmtrelay_a_SOURCES += \
	schema/sql_source.c \
	schema/sql_source.h
nodist_libmtrelay_a_SOURCES += schema/embedded.c

schema/embedded.c: $(schema_sql) scripts/embed-sql.awk
	$(AM_V_GEN)$(MKDIR_P) schema && (cd $(srcdir) && LC_ALL=C $(AWK) -f scripts/embed-sql.awk $(schema_sql) \
		</dev/null) >$@.tmp && mv $@.tmp $@

CLEANFILES += schema/embedded.c schema/embedded.c.tmp

# For the DBA who reads or runs them by hand.
schemadir = $(pkgdatadir)
nobase_dist_schema_DATA = $(schema_sql)
EXTRA_DIST += scripts/embed-sql.awk
