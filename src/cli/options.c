/* SPDX-License-Identifier: MIT */
/* options.c - goes through the command line by the table of all options. */
#include <errno.h>
#include <string.h>

#include "cli/options_impl.h"

/* How an option is taken. */
enum option_kind {
    OPTION_TEXT,    /* a string of the configuration                            */
    OPTION_FLAG,    /* a switch of the configuration                            */
    OPTION_CALL,    /* its own function, with an argument                       */
    OPTION_CALL0,   /* its own function, without                                */
    OPTION_IGNORED, /* an argument without any effect here                      */
    OPTION_NOTHING  /* likewise, without argument                               */
};

struct option {
    const char *name;
    enum option_kind kind;
    int (*call)(struct parser *parser, const char *text);
    size_t field; /* TEXT, FLAG: in struct machine_config                       */
    const char *argument, *help; /* for -help; NULL: not listed                 */
};

/* --- Small options -------------------------------------------------------------- */

static int option_help(struct parser *parser, const char *text)
{
    (void)text;
    option_print_help(parser->program);
    parser->action = OPTIONS_EXIT;
    return 0;
}

static int option_version(struct parser *parser, const char *text)
{
    (void)text;
    option_print_version(parser->program);
    parser->action = OPTIONS_EXIT;
    return 0;
}

static int option_nographic(struct parser *parser, const char *text)
{
    (void)text;
    parser->nographic = true;
    return 0;
}

static int option_nodefaults(struct parser *parser, const char *text)
{
    (void)text;
    parser->nodefaults = true;
    return 0;
}

static int option_snapshot(struct parser *parser, const char *text)
{
    (void)text;
    parser->snapshot = true;
    return 0;
}

static int option_display(struct parser *parser, const char *text)
{
    static const char *const known[] = {"gtk", "sdl", "curses", "vnc", "spice-app",
                                        "cocoa", "dbus", "egl-headless"};
    const size_t length = strcspn(text, ",=");

    if (strcmp(text, "none") == 0) {
        parser->no_display = true;
        return 0;
    }
    for (size_t i = 0; i < SM_ARRAY_LEN(known); i++) {
        if (strlen(known[i]) == length && strncmp(known[i], text, length) == 0)
            return option_error(parser, "Display '%s' is not available", known[i]);
    }
    return option_error(parser, "Parameter 'type' does not accept value '%s'", text);
}

static int option_vga(struct parser *parser, const char *text)
{
    if (strcmp(text, "none") == 0)
        return 0;
    return option_error(parser, "unknown vga type: %s", text);
}

static int option_network(struct parser *parser, const char *text)
{
    static const char *const known[] = {"user",   "tap",   "nic",    "bridge", "socket",
                                        "stream", "dgram", "l2tpv3", "vde",    "hubport"};
    const size_t length = strcspn(text, ",");

    if (strcmp(text, "none") == 0)
        return 0;
    for (size_t i = 0; i < SM_ARRAY_LEN(known); i++) {
        if (strlen(known[i]) == length && strncmp(known[i], text, length) == 0)
            return option_error(parser, "network '%s' is not available", known[i]);
    }
    return option_error(parser, "Parameter 'type' does not accept value '%s'", text);
}

static int option_uuid(struct parser *parser, const char *text)
{
    if (g_uuid_string_is_valid(text))
        return 0;
    return option_error(parser, "failed to parse UUID string: wrong format");
}

static int option_search(struct parser *parser, const char *text)
{
    g_ptr_array_add(parser->search, g_strdup(text));
    return 0;
}

/* --- The table ------------------------------------------------------------------ */

#define TEXT(name, field, argument, help)                                                \
    {name, OPTION_TEXT, NULL, offsetof(struct machine_config, field), argument, help}
#define FLAG(name, field, help)                                                          \
    {name, OPTION_FLAG, NULL, offsetof(struct machine_config, field), "", help}
#define CALL(name, call, argument, help) {name, OPTION_CALL, call, 0, argument, help}
#define CALL0(name, call, help)          {name, OPTION_CALL0, call, 0, "", help}
#define IGNORED(name, argument, help)    {name, OPTION_IGNORED, NULL, 0, argument, help}
#define NOTHING(name, help)              {name, OPTION_NOTHING, NULL, 0, "", help}

static const struct option options[] = {
    CALL0("h", option_help, NULL), /* listed: by the long name only */
    CALL0("help", option_help, "print this text"),
    CALL0("version", option_version, "print the version"),
    CALL("machine", option_machine, "[type=]NAME[,PROPERTY=VALUE]...",
         "the board ('-machine help' lists them); may be repeated;\n"
         "dump-mtree=FILE writes what is mapped where, explain=ADDRESS\n"
         "prints who answers there and why; then nothing is run"),
    CALL("M", option_machine, NULL, NULL),
    CALL("cpu", option_cpu, "MODEL[,PROPERTY=VALUE]...",
         "the harts ('-cpu help' lists models)"),
    CALL("accel", option_accel,
         "tcg[,thread=single|multi][,jit=on|off][,tb-size=N]\n"
         "[,tlb-check=off|report|stop]...",
         "how guest code runs; the first that exists is taken"),
    CALL("smp", option_smp, "[cpus=]N[,maxcpus=N][,sockets=N][,cores=N][,threads=N]",
         "how many harts (default 1)"),
    CALL("m", option_memory, "[size=]SIZE[,slots=N,maxmem=SIZE]",
         "memory, in MiB or with a suffix k, M, G, T (default 128)"),
    TEXT("bios", bios, "FILE|default|none", "the firmware (default: OpenSBI)"),
    TEXT("kernel", kernel, "FILE", "the kernel: ELF, Image or Image.gz"),
    TEXT("initrd", initrd, "FILE", "its initial ram disk"),
    TEXT("append", append, "TEXT", "its command line"),
    TEXT("dtb", dtb, "FILE", "a device tree instead of the board's own"),
    CALL("L", option_search, "DIRECTORY", "look for firmware there first"),
    CALL("drive", option_drive,
         "file=FILE[,if=none|virtio][,format=raw][,id=ID]...\n"
         "[,readonly=on|off][,snapshot=on|off][,cache=none|writeback|\n"
         "writethrough|directsync|unsafe][,aio=threads|io_uring]",
         "a disk image"),
    CALL0("snapshot", option_snapshot, "write no image, but temporary files"),
    CALL("device", option_device, "MODEL[,PROPERTY=VALUE]...",
         "a device ('-device help' lists models,\n"
         "'-device MODEL,help' their properties)"),
    CALL("object", option_object, "rng-random,id=ID[,filename=FILE]",
         "a source of random numbers for a device"),
    CALL("global", option_global, "DRIVER.PROPERTY=VALUE",
         "a default: virtio-mmio.force-legacy=on|off"),
    CALL("chardev", option_chardev,
         "stdio|file|null,id=ID[,mux=on|off][,signal=on|off]\n"
         "[,path=FILE][,append=on|off]",
         "where a line may go"),
    CALL("serial", option_serial, "stdio|mon:stdio|file:FILE|null|none|chardev:ID",
         "where the serial line goes; by default to standard\n"
         "input and output, as with -nographic, since there is no\n"
         "window; nowhere after -display none or -nodefaults"),
    CALL0("nographic", option_nographic,
          "serial line on standard input and output, with Ctrl-A\n"
          "commands: Ctrl-A h tells them, Ctrl-A x ends the machine"),
    CALL("display", option_display, "none", "there is no window"),
    CALL("vga", option_vga, "none", "there is no screen"),
    CALL("monitor", option_monitor, "none", "there is no monitor"),
    CALL("mon", option_mon, NULL, NULL),
    CALL("qmp", option_monitor, NULL, NULL),
    CALL("echr", option_echr, "N", "code of the key that begins a command (default 1)"),
    CALL("net", option_network, "none", "there is no network"),
    CALL("nic", option_network, NULL, NULL),
    CALL("rtc", option_rtc, "base=utc", "the wall clock"),
    CALL0("nodefaults", option_nodefaults, "no serial line that was not asked for"),
    NOTHING("no-user-config", NULL),
    FLAG("no-reboot", no_reboot, "end when the guest resets the machine"),
    FLAG("no-shutdown", no_shutdown, "stay when the guest powers off"),
    IGNORED("name", "NAME", "a name, for you"),
    CALL("uuid", option_uuid, "UUID", "a UUID, for you"),
    TEXT("pidfile", pidfile, "FILE", "write the process id there"),
    CALL("d", option_log, "ITEM[,ITEM]...",
         "write what is translated and run to standard error\n"
         "('-d help' lists items)"),
    TEXT("D", jit.log_file, "FILE", "write it to that file instead"),
    FLAG("perfmap", jit.perfmap, "name translated code in /tmp/perf-PID.map, for perf"),
    FLAG("stats", print_stats, "print figures of the run at its end"),
};

/* What QEMU has and we do not. */
static const char *const lacking[] = {
    "S", "acpitable", "action", "add-fd", "audio", "audiodev", "blockdev", "boot",
    "cdrom", "chroot", "compat", "daemonize", "debugcon", "dfilter", "enable-kvm",
    "fsdev", "full-screen", "fw_cfg", "g", "gdb", "hda", "hdb", "hdc", "hdd", "icount",
    "incoming", "iscsi", "jitdump", "k", "loadvm", "mem-path", "mem-prealloc", "msg", "mtdblock",
    "netdev", "numa", "one-insn-per-tb", "overcommit", "parallel", "pflash", "plugin",
    "preconfig", "prom-env", "qmp-pretty", "readconfig", "run-with", "runas", "s",
    "sandbox", "sd", "seed", "semihosting", "semihosting-config", "set", "singlestep",
    "smbios", "spice", "tb-size", "tpmdev", "trace", "usb", "usbdevice", "virtfs",
    "vnc", "watchdog-action", "writeconfig",
};

bool option_help_row(unsigned n, const char **name, const char **argument,
                     const char **help)
{
    if (n >= SM_ARRAY_LEN(options))
        return false;
    *name = options[n].name;
    *argument = options[n].argument;
    *help = options[n].help;
    return true;
}

static const struct option *find_option(const char *name)
{
    for (size_t i = 0; i < SM_ARRAY_LEN(options); i++) {
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    }
    return NULL;
}

static int refuse_option(struct parser *parser, const char *name)
{
    for (size_t i = 0; i < SM_ARRAY_LEN(lacking); i++) {
        if (strcmp(lacking[i], name) == 0)
            return option_error(parser, "this option is not available");
    }
    return option_error(parser, "invalid option");
}

static bool takes_argument(const struct option *option)
{
    switch (option->kind) {
    case OPTION_TEXT: case OPTION_CALL: case OPTION_IGNORED:
        return true;
    case OPTION_FLAG: case OPTION_CALL0: case OPTION_NOTHING:
        break;
    }
    return false;
}

static int take_option(struct parser *parser, const struct option *option)
{
    char *field = (char *)parser->config + option->field;

    switch (option->kind) {
    case OPTION_TEXT:
        option_set((char **)(void *)field, parser->place.argument);
        break;
    case OPTION_FLAG:
        *(bool *)(void *)field = true;
        break;
    case OPTION_CALL: case OPTION_CALL0:
        return option->call(parser, parser->place.argument);
    case OPTION_IGNORED: case OPTION_NOTHING:
        break;
    }
    return 0;
}

/* --- From begin to end ---------------------------------------------------------- */

static int read_all(struct parser *parser, int argc, char *const argv[])
{
    for (int i = 1; i < argc && parser->action == OPTIONS_RUN; i++) {
        const struct option *option;
        const char *name;
        int result;

        parser->place = (struct option_place){argv[i], NULL};
        if (argv[i][0] != '-')
            return option_error(parser, "a disk image is given as -drive file=%s,...",
                                argv[i]);
        name = argv[i] + (argv[i][1] == '-' ? 2 : 1);
        option = find_option(name);
        if (!option)
            return refuse_option(parser, name);
        if (takes_argument(option)) {
            if (++i == argc)
                return option_error(parser, "requires an argument");
            parser->place.argument = argv[i];
        }
        result = take_option(parser, option);
        if (result)
            return result;
    }
    return 0;
}

static void clear_drive(gpointer data)
{
    struct option_drive *drive = data;

    option_drive_clear(&drive->drive);
}

static void clear_device(gpointer data)
{
    option_device_clear(data);
}

static void clear_chardev(gpointer data)
{
    struct option_chardev *chardev = data;

    g_free(chardev->id);
    g_free(chardev->serial.path);
}

static void clear_object(gpointer data)
{
    struct option_object *object = data;

    g_free(object->id);
    g_free(object->file);
}

static GArray *new_array(size_t size, GDestroyNotify clear)
{
    GArray *array = g_array_new(FALSE, TRUE, (guint)size);

    if (clear)
        g_array_set_clear_func(array, clear);
    return array;
}

static void parser_init(struct parser *parser)
{
    parser->drives = new_array(sizeof(struct option_drive), clear_drive);
    parser->devices = new_array(sizeof(struct machine_device), clear_device);
    parser->chardevs = new_array(sizeof(struct option_chardev), clear_chardev);
    parser->objects = new_array(sizeof(struct option_object), clear_object);
    parser->accel_places = new_array(sizeof(struct option_place), NULL);
    parser->device_places = new_array(sizeof(struct option_place), NULL);
    parser->serial_places = new_array(sizeof(struct option_place), NULL);
    parser->mon_places = new_array(sizeof(struct option_place), NULL);
    parser->search = g_ptr_array_new_with_free_func(g_free);
}

static void parser_fini(struct parser *parser)
{
    GArray *arrays[] = {parser->drives, parser->devices, parser->chardevs,
                        parser->objects, parser->accel_places, parser->device_places,
                        parser->serial_places, parser->mon_places};

    for (size_t i = 0; i < SM_ARRAY_LEN(arrays); i++)
        g_array_free(arrays[i], TRUE);
    g_ptr_array_free(parser->search, TRUE);
    g_free(parser->virt_only);
    g_free(parser->accel_list);
}

/* Move what was gathered into the configuration. */
static void hand_over(struct parser *parser)
{
    struct machine_config *config = parser->config;
    const guint n_drives = parser->drives->len, n_search = parser->search->len;

    config->drives = g_new0(struct machine_drive, n_drives);
    for (guint i = 0; i < n_drives; i++) {
        struct option_drive *drive =
            &g_array_index(parser->drives, struct option_drive, i);

        config->drives[i] = drive->drive;
        drive->drive.id = drive->drive.file = NULL;
    }
    config->n_drives = n_drives;
    config->n_devices = parser->devices->len;
    config->devices = g_memdup2(parser->devices->data,
                                config->n_devices * sizeof(struct machine_device));
    g_array_set_clear_func(parser->devices, NULL);
    if (n_search) {
        config->search = g_new0(char *, n_search + 1);
        for (guint i = 0; i < n_search; i++)
            config->search[i] = g_strdup(g_ptr_array_index(parser->search, i));
    }
}

int options_parse(int argc, char *const argv[], struct machine_config *config,
                  enum options_action *action, char **error)
{
    const char *path = argc > 0 && argv[0] ? argv[0] : "softmmu-system-riscv64";
    const char *slash = strrchr(path, '/');
    struct parser parser = {.config = config,
                            .program = slash ? slash + 1 : path,
                            .action = OPTIONS_RUN,
                            .error = error};
    const char *description;
    int result;

    *config = (struct machine_config){.ram_size = UINT64_C(128) << 20,
                                      .n_harts = 1,
                                      .force_legacy = true};
    /* QEMU's default board: what runs without a board is a test with HTIF. */
    for (unsigned n = 0; machine_board_name(n, &description); n++) {
        if (n == 0 || strcmp(machine_board_name(n, &description), "spike") == 0)
            config->board = machine_board_name(n, &description);
    }
    parser_init(&parser);
    result = read_all(&parser, argc, argv);
    if (!result && parser.action == OPTIONS_RUN) {
        result = option_finish_machine(&parser);
        if (!result)
            result = option_finish_serial(&parser);
        if (!result)
            result = option_finish_devices(&parser);
        if (!result)
            hand_over(&parser);
    }
    *action = parser.action;
    parser_fini(&parser);
    return result;
}

void options_fini(struct machine_config *config)
{
    char *const strings[] = {config->bios, config->kernel, config->initrd, config->append,
                             config->dtb, config->dumpdtb, config->dump_mtree,
                             config->pidfile, config->jit.log_file};

    for (size_t i = 0; i < SM_ARRAY_LEN(strings); i++)
        g_free(strings[i]);
    for (unsigned i = 0; i < config->n_serials; i++)
        g_free(config->serial[i].path);
    for (unsigned i = 0; i < config->n_drives; i++)
        option_drive_clear(&config->drives[i]);
    for (unsigned i = 0; i < config->n_devices; i++)
        option_device_clear(&config->devices[i]);
    g_free(config->drives);
    g_free(config->devices);
    g_strfreev(config->search);
    *config = (struct machine_config){0};
}
