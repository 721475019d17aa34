/* SPDX-License-Identifier: MIT */
/* chardev_impl.h - the terminal of the process, as chardev.c uses it.
 *
 * Layer: machine, private.
 */
#ifndef MACHINE_CHARDEV_IMPL_H
#define MACHINE_CHARDEV_IMPL_H

#include "machine/machine_impl.h"

/** Take standard input and output for one character device, and if input is a
 *  terminal set it raw: keys come one by one and without echo.  Until it is left the
 *  terminal is restored whichever way the process ends, and set raw again when the
 *  process continues after a stop.
 *
 *  @signals  Ctrl-C, Ctrl-\ and Ctrl-Z keep acting on the process
 *  Errors    -EBUSY taken already */
SM_MUST_CHECK int chardev_tty_enter(bool signals);
void chardev_tty_leave(void);

#endif
