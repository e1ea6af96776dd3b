dnl mtr_flags.m4 - which compiler and linker flags are understood.
dnl MTR_CC_FLAGS(VARIABLE, FLAGS), MTR_LD_FLAGS(VARIABLE, FLAGS): the flags that work, substituted as VARIABLE.
dnl With -Werror, because clang only warns about a flag that it ignores.
AC_DEFUN([MTR_CC_FLAGS], [
	$1=
	for mtr_flag in $2; do
		AC_MSG_CHECKING([whether $CC takes $mtr_flag])
		mtr_save_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS -Werror $mtr_flag"
		AC_LINK_IFELSE([AC_LANG_SOURCE([[int main(void) { return 0; }]])],
			[$1="$$1 $mtr_flag"; AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no])])
		CFLAGS=$mtr_save_CFLAGS
	done
	AC_SUBST([$1])
])
AC_DEFUN([MTR_LD_FLAGS], [
	$1=
	for mtr_flag in $2; do
		AC_MSG_CHECKING([whether the linker takes $mtr_flag])
		mtr_save_LDFLAGS=$LDFLAGS
		mtr_save_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS -fPIE -Werror"
		LDFLAGS="$LDFLAGS $mtr_flag"
		AC_LINK_IFELSE([AC_LANG_PROGRAM()], [$1="$$1 $mtr_flag"; AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no])])
		CFLAGS=$mtr_save_CFLAGS
		LDFLAGS=$mtr_save_LDFLAGS
	done
	AC_SUBST([$1])
])
