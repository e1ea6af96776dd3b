# etc/sources.mk - configuration sample, service files, man pages, data files.
#
# Add a man page: put it into dist_man_MANS. Add an installed data file: into dist_pkgdata_DATA (found at run time
# below MTRELAY_DATA_DIR). Prepared folders: $(systemdsystemunitdir), $(initdir), $(sysconfdir)/mtrelay.
# What is generated from the option table goes into the build folder and into CLEANFILES.

dist_man_MANS +=
dist_pkgdata_DATA =
