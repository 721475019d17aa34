/* SPDX-License-Identifier: MIT */
/* options_impl.h - what the files that read the command line share.
 *
 *   options.c          the table of options, and the order of things
 *   options_values.c   lists "a,b=c", numbers, sizes, switches, names
 *   options_machine.c  -machine, -cpu, -accel, -global, -rtc
 *   options_jit.c      -d, and what -accel tcg says of the translator
 *   options_size.c     -m, -smp
 *   options_drives.c   -drive
 *   options_devices.c  -device, -object
 *   options_serial.c   -serial, -chardev, and what -nographic implies
 *   options_help.c     what -help, -version and "help" values print
 *
 * Options that name each other may come in any order: they are noted first, with
 * where they stood, and put together when all were read.
 *
 * Layer: cli, private.
 */
#ifndef CLI_OPTIONS_IMPL_H
#define CLI_OPTIONS_IMPL_H

#include <glib.h>

#include "base/base.h"
#include "cli/options.h"
#include "jit/jit.h"

/** An option as it stands on the command line. */
struct option_place {
    const char *spelled;  /* "-drive"                                          */
    const char *argument; /* or NULL                                           */
};

/** One item of a list. */
struct option_pair {
    char *key, *value;
    bool bare; /* given without '=': .value is "on"                            */
};

struct option_smp {
    uint64_t cpus, maxcpus, sockets, cores, threads; /* 0: not given            */
};

struct option_drive {
    struct machine_drive drive;
    struct option_place place;
    enum { DRIVE_DEFAULT, DRIVE_NONE, DRIVE_VIRTIO } interface;
    uint64_t index; /* of if=virtio                                            */
    bool has_index, claimed;
};

struct option_chardev {
    char *id;
    struct machine_serial serial;
};

struct option_object {
    char *id, *file; /* rng-random's filename; NULL: the host's generator       */
};

struct parser {
    struct machine_config *config;
    const char *program;       /* base name of argv[0]                          */
    struct option_place place; /* what is being read: errors name it            */
    enum options_action action;
    char **error;

    struct option_smp smp;
    struct option_place cpu;
    char *virt_only;           /* the first property given that spike lacks     */
    GArray *drives, *chardevs, *objects; /* option_drive, ...                    */
    GArray *accel_places, *device_places, *serial_places, *mon_places;
    char *accel_list;          /* -machine accel=                               */
    GArray *devices;           /* machine_device, in the making                 */
    GPtrArray *search;
    unsigned char escape;
    bool nographic, no_display, nodefaults, snapshot;
    bool jit_on;               /* jit=on, in words                              */
};

/* --- options_values.c ----------------------------------------------------------- */

/** Fail with "@place: message".  Returns -EINVAL */
int option_error(struct parser *parser, const char *format, ...) G_GNUC_PRINTF(2, 3);
/** Fail with the bare message. */
int option_error_bare(struct parser *parser, const char *format, ...) G_GNUC_PRINTF(2, 3);
/** Tell of something that is odd but no error, on stderr. */
void option_warn(const struct parser *parser, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/** Split @text at its commas; ",," is one of a value.
 *
 *  @implied  key of a first item without '=', or NULL
 *  @strict   other items without '=' are errors, else switches: "x" and "nox"
 *  @pairs    struct option_pair; option_list_free() */
SM_MUST_CHECK int option_list(struct parser *parser, const char *text,
                              const char *implied, bool strict, GArray **pairs);
void option_list_free(GArray *pairs);
/** Value of @key, the last one given, or NULL. */
const char *option_value(const GArray *pairs, const char *key);
/** Whether someone asks what there is: "help" or "?". */
bool option_is_help(const char *text);

SM_MUST_CHECK bool option_parse_switch(const char *text, bool *value);
/** Decimal, or hexadecimal after 0x.  Returns false if it is no number that fits. */
SM_MUST_CHECK bool option_parse_number(const char *text, uint64_t *value);
/** "3", "3M", "1.5G": @shift is log2 of the unit of a plain number.
 *  Returns  0, -EINVAL, or -ERANGE */
SM_MUST_CHECK int option_parse_size(const char *text, unsigned shift, uint64_t *bytes);
bool option_is_id(const char *text);

/* As above, failing as QEMU does for the value of the parameter @key. */
SM_MUST_CHECK int option_switch(struct parser *parser, const char *key, const char *text,
                                bool *value);
SM_MUST_CHECK int option_number(struct parser *parser, const char *key, const char *text,
                                uint64_t *value);
SM_MUST_CHECK int option_id(struct parser *parser, const char *text);
/** Replace *@field, a string of the configuration. */
void option_set(char **field, const char *text);

/* --- The families --------------------------------------------------------------- */

int option_machine(struct parser *parser, const char *text);
int option_cpu(struct parser *parser, const char *text);
int option_memory(struct parser *parser, const char *text);
int option_smp(struct parser *parser, const char *text);
int option_accel(struct parser *parser, const char *text);
/** A property of -accel tcg that is the translator's.  Returns -ENOENT for any other */
SM_MUST_CHECK int option_jit_property(struct parser *parser,
                                      const struct option_pair *pair);
int option_log(struct parser *parser, const char *text);
/** Warn whoever asked for translation where there is none. */
void option_finish_jit(const struct parser *parser);
int option_global(struct parser *parser, const char *text);
int option_rtc(struct parser *parser, const char *text);
/** Work out what -smp left open, cores first, as QEMU does since 6.2. */
SM_MUST_CHECK int option_finish_smp(struct parser *parser);
SM_MUST_CHECK int option_finish_machine(struct parser *parser);

int option_drive(struct parser *parser, const char *text);
struct option_drive *option_drive_at(const struct parser *parser, guint n);
/** Give names, "#virtio0" and the like, to the drives that have none. */
void option_name_drives(struct parser *parser);

int option_device(struct parser *parser, const char *text);
int option_object(struct parser *parser, const char *text);
SM_MUST_CHECK int option_finish_devices(struct parser *parser);

int option_serial(struct parser *parser, const char *text);
int option_chardev(struct parser *parser, const char *text);
int option_monitor(struct parser *parser, const char *text);
int option_mon(struct parser *parser, const char *text);
int option_echr(struct parser *parser, const char *text);
SM_MUST_CHECK int option_finish_serial(struct parser *parser);

void option_device_clear(struct machine_device *device);
void option_drive_clear(struct machine_drive *drive);

/* --- options.c, options_help.c -------------------------------------------------- */

/** Visit the lines of -help: names, argument and meaning of an option.  Returns
 *  false past the end. */
bool option_help_row(unsigned n, const char **name, const char **argument,
                     const char **help);

void option_print_help(const char *program);
void option_print_version(const char *program);
void option_print_machines(void);
void option_print_cpus(void);
void option_print_devices(void);
/** Print the properties of a device model.  Returns false if there is no such model */
bool option_print_properties(const char *model);

/** Visit device models and their properties.  NULL past the end. */
const char *option_device_model(unsigned n, const char **what);
const char *option_device_property(const char *model, unsigned n, const char **what);

#endif
