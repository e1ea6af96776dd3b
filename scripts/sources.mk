# scripts/sources.mk - checks and helpers that are part of the tarball.

dist_noinst_SCRIPTS += \
	scripts/bootstrap \
	scripts/check-layers \
	scripts/gen-cp949 \
	scripts/install-deps \
	scripts/run-unit \
	scripts/test
TESTS += scripts/check-layers
