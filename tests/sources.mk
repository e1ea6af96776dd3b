# tests/sources.mk - unit tests, what they share, and the fuzz targets.
#
# Add a unit test: write tests/unit/test_<thing>.c (cmocka, one group, one program) and add the line
# "	tests/unit/test_<thing>" to unit_tests. It links libmtrelay.a and the test library. A test that needs more
# sources says so as tests_unit_test_<thing>_SOURCES = ... (all of its files).
# In a test: getenv("MTRELAY_SRCDIR") is the top of the source, getenv("MTRELAY_BUILDDIR") that of the build.
# Python tests are found by their name below tests/integration, tests/sim and tests/fault and need no line here.

unit_tests =

# Base
unit_tests += \
	tests/unit/test_base \
	tests/unit/test_blackbox \
	tests/unit/test_failpoint \
	tests/unit/test_lane \
	tests/unit/test_log \
	tests/unit/test_notify \
	tests/unit/test_text

# Databases
unit_tests += \
	tests/unit/test_db_contract \
	tests/unit/test_db_errors \
	tests/unit/test_db_odbc \
	tests/unit/test_schema

# Core
unit_tests += \
	tests/unit/test_conf \
	tests/unit/test_cp949 \
	tests/unit/test_decide \
	tests/unit/test_journal \
	tests/unit/test_key \
	tests/unit/test_message \
	tests/unit/test_number \
	tests/unit/test_pipeline \
	tests/unit/test_rules \
	tests/unit/test_store

# Channels and programs
unit_tests += \
	tests/unit/test_supervise \
	tests/unit/test_codemap \
	tests/unit/test_infobip_codec \
	tests/unit/test_pace \
	tests/unit/test_smpp_pdu \
	tests/unit/test_smpp_receipt \
	tests/unit/test_smpp_text

# Drivers for tests and helpers that several tests share.
test_library = \
	drivers/db/mem.c drivers/db/mem.h \
	tests/unit/db_contract.c tests/unit/db_contract.h \
	tests/unit/unit.h

EXTRA_DIST += tests/data/messages.tsv tests/tsan.supp tests/fuzz/smpp_pdu.dict tests/fuzz/smpp_receipt.dict

# Tests that are scripts.
dist_check_SCRIPTS = tests/unit/embed_sql.sh
TESTS += tests/unit/embed_sql.sh

if HAVE_TESTS
check_LIBRARIES += libmtrelaytest.a
libmtrelaytest_a_SOURCES = $(test_library)
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
# What tests/integration drives a channel with.
check_PROGRAMS += tests/unit/channel_drive
LDADD = libmtrelaytest.a $(relay_libs) $(CMOCKA_LIBS) $(SQLITE_LIBS)
else
EXTRA_DIST += $(test_library)
endif

# Torture (tests/fault/test_torture.py): own code's allocations and system calls fail on demand, in each module's main job and
# in the daemon.
torture_ldflags = $(AM_LDFLAGS) \
	-Wl,--wrap=_exit -Wl,--wrap=abort -Wl,--wrap=bufferevent_socket_new -Wl,--wrap=calloc -Wl,--wrap=connect \
	-Wl,--wrap=curl_easy_init -Wl,--wrap=curl_multi_init -Wl,--wrap=curl_slist_append \
	-Wl,--wrap=evbuffer_readln -Wl,--wrap=evconnlistener_new_bind -Wl,--wrap=event_new \
	-Wl,--wrap=eventfd -Wl,--wrap=fcntl -Wl,--wrap=fdatasync -Wl,--wrap=fdopendir \
	-Wl,--wrap=flock -Wl,--wrap=fopen -Wl,--wrap=free -Wl,--wrap=fsync -Wl,--wrap=ftruncate \
	-Wl,--wrap=getrandom -Wl,--wrap=json_array -Wl,--wrap=json_dumps -Wl,--wrap=json_integer \
	-Wl,--wrap=json_loadb -Wl,--wrap=json_object -Wl,--wrap=json_pack -Wl,--wrap=json_string \
	-Wl,--wrap=json_stringn -Wl,--wrap=malloc -Wl,--wrap=mmap -Wl,--wrap=open -Wl,--wrap=openat \
	-Wl,--wrap=posix_fallocate -Wl,--wrap=pread -Wl,--wrap=pthread_create -Wl,--wrap=pwrite \
	-Wl,--wrap=read -Wl,--wrap=readdir -Wl,--wrap=realloc -Wl,--wrap=renameat -Wl,--wrap=sendto \
	-Wl,--wrap=socket -Wl,--wrap=strdup -Wl,--wrap=write
torture_sources = tests/torture/fail.c tests/torture/fail.h
if HAVE_TESTS
check_PROGRAMS += tests/torture/torture tests/torture/mtrelayd
tests_torture_torture_SOURCES = tests/torture/torture.c $(torture_sources)
tests_torture_torture_LDFLAGS = $(torture_ldflags)
tests_torture_mtrelayd_SOURCES = agent/mtrelayd.c $(torture_sources)
tests_torture_mtrelayd_LDFLAGS = $(torture_ldflags)
tests_torture_mtrelayd_LDADD = $(relay_libs)
else
EXTRA_DIST += tests/torture/torture.c $(torture_sources)
endif

# Fuzz targets: tests/fuzz/fuzz_<thing>.c with LLVMFuzzerTestOneInput(); built by --enable-sanitizer=fuzzer. Each needs its
# line of LDFLAGS below: the fuzzer brings the main program.
fuzz_targets = \
	tests/fuzz/fuzz_conf \
	tests/fuzz/fuzz_control \
	tests/fuzz/fuzz_ctl_answer \
	tests/fuzz/fuzz_db_value \
	tests/fuzz/fuzz_infobip \
	tests/fuzz/fuzz_journal \
	tests/fuzz/fuzz_key \
	tests/fuzz/fuzz_smpp_pdu \
	tests/fuzz/fuzz_smpp_receipt \
	tests/fuzz/fuzz_store \
	tests/fuzz/fuzz_text \
	tests/fuzz/fuzz_validate

if ENABLE_FUZZER
noinst_PROGRAMS += $(fuzz_targets)
fuzz_ldflags = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_conf_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_control_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_ctl_answer_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_ctl_answer_SOURCES = tests/fuzz/fuzz_ctl_answer.c agent/ctl_agent.c agent/ctl_report.c
tests_fuzz_fuzz_db_value_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_infobip_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_journal_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_key_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_smpp_pdu_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_smpp_receipt_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_store_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_text_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_validate_LDFLAGS = $(fuzz_ldflags)
endif
