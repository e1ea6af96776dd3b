# schema/sources.mk - the SQL of each dialect and how it gets into the programs.
#
# Add a statement: put schema/<dialect>/<name>.sql into the list of its dialect. Its first line is
#   -- <name>: purpose. args: a b c (or none) cols: itt (or none) write: yes|no
# and says one statement; see schema/sql_source.h for the rules that scripts/embed-sql.awk checks. A file whose
# first line is a comment without "args:" is a script of several statements (create.sql, grants.sql ...).

schema_sql =

# mysql
schema_sql += \
	schema/mysql/check_clock.sql \
	schema/mysql/check_columns.sql \
	schema/mysql/check_indexes.sql \
	schema/mysql/check_obstacles.sql \
	schema/mysql/check_settings.sql \
	schema/mysql/check_table.sql \
	schema/mysql/check_write.sql \
	schema/mysql/code_set.sql \
	schema/mysql/create.sql \
	schema/mysql/grants.sql \
	schema/mysql/schema_version.sql \
	schema/mysql/schema_version_set.sql \
	schema/mysql/views.sql

# postgresql
schema_sql += \
	schema/postgresql/check_clock.sql \
	schema/postgresql/check_columns.sql \
	schema/postgresql/check_indexes.sql \
	schema/postgresql/check_obstacles.sql \
	schema/postgresql/check_settings.sql \
	schema/postgresql/check_table.sql \
	schema/postgresql/check_write.sql \
	schema/postgresql/code_set.sql \
	schema/postgresql/create.sql \
	schema/postgresql/grants.sql \
	schema/postgresql/schema_version.sql \
	schema/postgresql/schema_version_set.sql \
	schema/postgresql/views.sql

# sqlite
schema_sql += \
	schema/sqlite/check_clock.sql \
	schema/sqlite/check_columns.sql \
	schema/sqlite/check_indexes.sql \
	schema/sqlite/check_obstacles.sql \
	schema/sqlite/check_settings.sql \
	schema/sqlite/check_table.sql \
	schema/sqlite/check_write.sql \
	schema/sqlite/code_set.sql \
	schema/sqlite/create.sql \
	schema/sqlite/grants.sql \
	schema/sqlite/schema_version.sql \
	schema/sqlite/schema_version_set.sql \
	schema/sqlite/views.sql

libmtrelay_a_SOURCES += \
	schema/columns.def \
	schema/indexes.def \
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
