# agent/sources.mk - base, core and the two programs.
#
# Add a file: put its .c and .h into the list of its layer below, one line each, in order of the alphabet.
# All of it goes into libmtrelay.a but what only mtrelayd or mtrelayctl needs (their main programs and ctl_*.c).

# base: knows nothing of messages
libmtrelay_a_SOURCES += \
	agent/clock.h \
	agent/err.h \
	agent/lane.h \
	agent/log.h

# core
libmtrelay_a_SOURCES +=

# the daemon's main program
mtrelayd_SOURCES += \
	agent/mtrelayd.c

# the control program: its main program and ctl_*.c
mtrelayctl_SOURCES += \
	agent/mtrelayctl.c
