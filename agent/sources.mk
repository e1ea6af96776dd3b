# agent/sources.mk - base, core and the two programs.
#
# Add a file: put its .c and .h into the list of its layer below, one line each, in order of the alphabet.
# All of it goes into libmtrelay.a but what only mtrelayd or mtrelayctl needs (their main programs and ctl_*.c).

# base: knows nothing of messages
libmtrelay_a_SOURCES += \
	agent/arena.c \
	agent/arena.h \
	agent/blackbox.c \
	agent/blackbox.h \
	agent/buf.c \
	agent/buf.h \
	agent/clock.c \
	agent/clock.h \
	agent/err.c \
	agent/err.h \
	agent/failpoint.c \
	agent/failpoint.def \
	agent/failpoint.h \
	agent/lane.c \
	agent/lane.h \
	agent/log.c \
	agent/log.h \
	agent/notify.c \
	agent/notify.h \
	agent/sha256.c \
	agent/sha256.h \
	agent/stats.c \
	agent/stats.def \
	agent/stats.h \
	agent/text.c \
	agent/text.h

# core
libmtrelay_a_SOURCES += \
	agent/batch.h \
	agent/codemap.c \
	agent/codemap.h \
	agent/conf.c \
	agent/conf.def \
	agent/conf.h \
	agent/conf_check.c \
	agent/conf_print.c \
	agent/conf_table.h \
	agent/control.h \
	agent/control.def \
	agent/control.c \
	agent/cp949.c \
	agent/cp949.h \
	agent/cp949_table.h \
	agent/dialect.c \
	agent/dialect.h \
	agent/journal.h \
	agent/journal.c \
	agent/key.c \
	agent/key.h \
	agent/message.c \
	agent/message.h \
	agent/msg_type.def \
	agent/number.c \
	agent/number.h \
	agent/relay.h \
	agent/relay.c \
	agent/recover.h \
	agent/recover.c \
	agent/pipeline.c \
	agent/pipeline.h \
	agent/pipeline_channel.c \
	agent/pipeline_claim.c \
	agent/pipeline_int.h \
	agent/pipeline_received.c \
	agent/pipeline_report.c \
	agent/pipeline_settle.c \
	agent/pipeline_unknown.c \
	agent/result.c \
	agent/result.def \
	agent/result.h \
	agent/schema.c \
	agent/schema.h \
	agent/store.c \
	agent/store.h \
	agent/store_apply.c \
	agent/store_care.c \
	agent/store_claim.c \
	agent/store_int.h \
	agent/store_parts.c \
	agent/store_recv.c \
	agent/store_report.c \
	agent/store_sql.c \
	agent/store_admin.c \
	agent/store_admin.h \
	agent/store_setup.h \
	agent/store_setup.c \
	agent/session.h \
	agent/session.c \
	agent/supervise.c \
	agent/supervise.h \
	agent/transition.c \
	agent/transition.def \
	agent/transition.h \
	agent/validate.c \
	agent/validate.h

# made from etc/codes (etc/sources.mk)
nodist_libmtrelay_a_SOURCES += agent/codes_embedded.c

# the daemon's main program
mtrelayd_SOURCES += \
	agent/mtrelayd.c

# the control program: its main program and ctl_*.c
mtrelayctl_SOURCES += \
	agent/ctl.def \
	agent/ctl.h \
	agent/ctl_agent.c \
	agent/ctl_check.c \
	agent/ctl_db.c \
	agent/ctl_explain.c \
	agent/ctl_report.c \
	agent/ctl_schema.c \
	agent/ctl_trace.c \
	agent/ctl_unknown.c \
	agent/mtrelayctl.c
