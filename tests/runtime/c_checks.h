/* What the checks of the C interface share: counts of failures, and texts of errors. */
#ifndef LATHE_TESTS_RUNTIME_C_CHECKS_H
#define LATHE_TESTS_RUNTIME_C_CHECKS_H

#include <stdio.h>
#include <string.h>

#include <lathe/c.h>

static int failures = 0;

static void expect(int condition, const char* what) {
  if (!condition) {
    printf("failed: %s (%s)\n", what, lathe_last_error());
    ++failures;
  }
}

/* An error of that status whose message holds the text. */
static inline void expect_error(lathe_status found, lathe_status status, const char* text) {
  if (found != status || strstr(lathe_last_error(), text) == NULL) {
    printf("failed: found status %d (%s), expected %d with '%s'\n", (int)found, lathe_last_error(),
           (int)status, text);
    ++failures;
  }
}

#endif
