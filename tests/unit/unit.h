/* unit.h - what every unit test includes: cmocka with the headers it wants first.
 *
 * One group a program (the TAP plan counts one): return cmocka_run_group_tests(tests, setup,
 * teardown). A test that cannot run here prints why and calls skip(). */
#ifndef MTRELAY_UNIT_H
#define MTRELAY_UNIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define NELEM(a) (sizeof(a) / sizeof(a)[0])

#endif
