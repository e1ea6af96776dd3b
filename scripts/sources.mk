# scripts/sources.mk - checks and helpers that are part of the tarball.

dist_noinst_SCRIPTS += \
	scripts/bootstrap \
	scripts/check-layers \
	scripts/install-deps \
	scripts/test
TESTS += scripts/check-layers
