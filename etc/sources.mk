# etc/sources.mk - configuration sample, service files, man pages, data files.
#
# Add a man page: put it into dist_man_MANS. Add an installed data file: into dist_pkgdata_DATA (found at run time
# below MTRELAY_DATA_DIR). Prepared folders: $(systemdsystemunitdir), $(initdir), $(sysconfdir)/mtrelay.
# What is generated from the option table goes into the build folder and into CLEANFILES.

dist_man_MANS += etc/mtrelayctl.8
nodist_man_MANS = etc/mtrelayd.8 etc/mtrelay.conf.5
dist_pkgdata_DATA =

# Files in which paths of this installation stand; each NAME.in is beside this file, the result below the
# folder of the build in the name that it is installed under.
path_files = \
	etc/default/mtrelayd \
	etc/init.d/mtrelayd \
	etc/logrotate.d/mtrelay \
	etc/mtrelayd.8 \
	etc/mtrelayd.service \
	etc/sysusers.d/mtrelay.conf \
	etc/tmpfiles.d/mtrelay.conf
EXTRA_DIST += \
	etc/logrotate.in \
	etc/mtrelay.conf.5.in \
	etc/mtrelayd.8.in \
	etc/mtrelayd.default.in \
	etc/mtrelayd.init.in \
	etc/mtrelayd.service.in \
	etc/sysusers.conf.in \
	etc/tmpfiles.conf.in
CLEANFILES += $(path_files) etc/mtrelay.conf.5 etc/mtrelay.conf.sample etc/options.man

sampledir = $(sysconfdir)/mtrelay
logrotatedir = $(sysconfdir)/logrotate.d
defaultdir = $(sysconfdir)/default
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
nodist_sample_DATA = etc/mtrelay.conf.sample
nodist_systemdsystemunit_DATA = etc/mtrelayd.service
nodist_init_SCRIPTS = etc/init.d/mtrelayd
nodist_logrotate_DATA = etc/logrotate.d/mtrelay
nodist_sysusers_DATA = etc/sysusers.d/mtrelay.conf
nodist_tmpfiles_DATA = etc/tmpfiles.d/mtrelay.conf
noinst_DATA = etc/default/mtrelayd

# What an administrator has changed stays.
install-data-local: etc/default/mtrelayd
	$(MKDIR_P) "$(DESTDIR)$(defaultdir)"
	test -e "$(DESTDIR)$(defaultdir)/mtrelayd" || \
		$(INSTALL_DATA) etc/default/mtrelayd "$(DESTDIR)$(defaultdir)/mtrelayd"

uninstall-local:
	! cmp -s etc/default/mtrelayd "$(DESTDIR)$(defaultdir)/mtrelayd" || rm -f "$(DESTDIR)$(defaultdir)/mtrelayd"

put_paths = $(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's,[@]sbindir[@],$(sbindir),g' -e 's,[@]bindir[@],$(bindir),g' \
	-e 's,[@]sysconfdir[@],$(sysconfdir),g' -e 's,[@]localstatedir[@],$(localstatedir),g' \
	-e 's,[@]runstatedir[@],$(runstatedir),g' -e 's,[@]VERSION[@],$(VERSION),g'

etc/default/mtrelayd: etc/mtrelayd.default.in Makefile
	$(put_paths) $(srcdir)/etc/mtrelayd.default.in >$@
etc/init.d/mtrelayd: etc/mtrelayd.init.in Makefile
	$(put_paths) $(srcdir)/etc/mtrelayd.init.in >$@ && chmod +x $@
etc/logrotate.d/mtrelay: etc/logrotate.in Makefile
	$(put_paths) $(srcdir)/etc/logrotate.in >$@
etc/mtrelayd.8: etc/mtrelayd.8.in Makefile
	$(put_paths) $(srcdir)/etc/mtrelayd.8.in >$@
etc/mtrelayd.service: etc/mtrelayd.service.in Makefile
	$(put_paths) $(srcdir)/etc/mtrelayd.service.in >$@
etc/sysusers.d/mtrelay.conf: etc/sysusers.conf.in Makefile
	$(put_paths) $(srcdir)/etc/sysusers.conf.in >$@
etc/tmpfiles.d/mtrelay.conf: etc/tmpfiles.conf.in Makefile
	$(put_paths) $(srcdir)/etc/tmpfiles.conf.in >$@

# From the table of options, by the program itself.
etc/mtrelay.conf.sample: mtrelayd$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) etc && ./mtrelayd$(EXEEXT) --print-sample >$@.tmp && mv $@.tmp $@
etc/mtrelay.conf.5: etc/mtrelay.conf.5.in mtrelayd$(EXEEXT)
	$(AM_V_at)$(MKDIR_P) etc && ./mtrelayd$(EXEEXT) --print-man >etc/options.man
	$(put_paths) -e '/^[@]OPTIONS[@]$$/{' -e 'r etc/options.man' -e 'd' -e '}' $(srcdir)/etc/mtrelay.conf.5.in >$@

# Code maps of the providers: built into the programs, installed to be read and copied.
code_maps = etc/codes/infobip.codes etc/codes/smpp.codes
codesdir = $(pkgdatadir)/codes
dist_codes_DATA = $(code_maps)
EXTRA_DIST += scripts/embed-text.awk
CLEANFILES += agent/codes_embedded.c agent/codes_embedded.c.tmp

agent/codes_embedded.c: $(code_maps) scripts/embed-text.awk
	$(AM_V_GEN)$(MKDIR_P) agent && (cd $(srcdir) && LC_ALL=C $(AWK) -f scripts/embed-text.awk $(code_maps)) >$@.tmp && \
		mv $@.tmp $@
