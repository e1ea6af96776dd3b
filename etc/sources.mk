# etc/sources.mk - configuration sample, service files, man pages, data files.
#
# Add a man page: put it into dist_man_MANS. Add an installed data file: into dist_pkgdata_DATA (found at run time
# below MTRELAY_DATA_DIR). Prepared folders: $(systemdsystemunitdir), $(initdir), $(sysconfdir)/mtrelay.
# What is generated from the option table goes into the build folder and into CLEANFILES.

dist_man_MANS +=
dist_pkgdata_DATA =

# Code maps of the providers: built into the programs, installed to be read and copied.
code_maps = etc/codes/infobip.codes
codesdir = $(pkgdatadir)/codes
dist_codes_DATA = $(code_maps)
EXTRA_DIST += scripts/embed-text.awk
nodist_libmtrelay_a_SOURCES += agent/codes_embedded.c
CLEANFILES += agent/codes_embedded.c agent/codes_embedded.c.tmp

agent/codes_embedded.c: $(code_maps) scripts/embed-text.awk
	$(AM_V_GEN)$(MKDIR_P) agent && (cd $(srcdir) && LC_ALL=C $(AWK) -f scripts/embed-text.awk $(code_maps)) >$@.tmp && \
		mv $@.tmp $@
