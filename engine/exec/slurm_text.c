#include "engine/exec/slurm_text.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/param.h"
#include "base/size.h"
#include <limits.h>
#include <string.h>
#include <strings.h>

#define NODES_DEFAULT 4 /* that --slurm asks for at most, unless it says how many */
#define NODES_MOST    1000
#define MIB           ((int64_t)1 << 20)

const char *slurm_field(const char *text, const char *name, struct arena *a)
{
    size_t n = strlen(name);
    for (const char *at = text; (at = strstr(at, name)); at += n) {
        if ((at > text && at[-1] != ' ' && at[-1] != '\n') || at[n] != '=')
            continue;
        at += n + 1;
        return arena_printf(a, "%.*s", (int)strcspn(at, " \n"), at);
    }
    return NULL;
}

int64_t slurm_number(const char *text, const char *name, int64_t otherwise)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    const char *value = slurm_field(text, name, &a);
    char *end;
    long long x = value ? strtoll(value, &end, 10) : 0;
    return value && end != value ? x : otherwise;
}

bool slurm_counts(const char *text, int *ret, int n)
{
    int got = 0;
    while (*text) {
        char *end;
        long count = strtol(text, &end, 10), times = 1;
        if (end == text || count < 1 || count > INT_MAX)
            return false;
        if (strncmp(end, "(x", 2) == 0) {
            text = end + 2;
            times = strtol(text, &end, 10);
            if (end == text || *end++ != ')')
                return false;
        }
        if (times < 1 || times > n - got || (*end && *end != ','))
            return false;
        while (times-- > 0)
            ret[got++] = (int)count;
        text = end + (*end == ',');
    }
    return got == n;
}

bool slurm_node_works(const char *state)
{
    static const char *const not [] = {"down",       "fail",           "error",         "unknown",
                                       "future",     "powered_down",   "powering_down", "reboot",
                                       "no_respond", "not_responding", "inval"};
    size_t n = strcspn(state, "*~#!%$@^-");
    if (state[n] && strchr("*~!%", state[n])) /* silent, or without power, or losing it */
        return false;
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        if (strcasestr(state, not [i]))
            return false;
    return true;
}

const char *slurm_job_end(const char *state)
{
    static const struct {
        const char *state, *text;
    } rows[] = {{"CANCELLED", "was cancelled"},
                {"TIMEOUT", "has reached its time limit"},
                {"PREEMPTED", "was preempted"},
                {"NODE_FAIL", "has lost its node"},
                {"BOOT_FAIL", "could not boot its node"},
                {"DEADLINE", "has reached its deadline"},
                {"OUT_OF_MEMORY", "ran out of memory"},
                {"FAILED", "has failed"},
                {"COMPLETED", "has ended"},
                {"REVOKED", "was revoked"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strncmp(state, rows[i].state, strlen(rows[i].state)) == 0)
            return rows[i].text;
    return NULL;
}

int slurm_minutes(const char *text)
{
    static const struct {
        char name;
        double seconds;
    } unit[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    double sum = 0;
    for (size_t next = 0; *text; next++) {
        size_t digits = strspn(text, "0123456789");
        double x = strtod(text, NULL);
        while (next < 4 && unit[next].name != text[digits])
            next++;
        if (digits == 0 || digits > 9 || next == 4)
            return 0;
        sum += x * unit[next].seconds;
        text += digits + 1;
    }
    return sum > 0 && sum < 60.0 * INT_MAX ? (int)((sum + 59) / 60) : 0;
}

/* Fields of a line, split in place. */
static int split(char *line, char **field, int n)
{
    int got = 0;
    for (char *at = line; at && got < n; got++) {
        field[got] = at;
        if ((at = strchr(at, '|')))
            *at++ = '\0';
    }
    return got;
}

static bool in_partition(char *name, const char *wanted)
{
    size_t n = strlen(name);
    bool is_default = n > 0 && name[n - 1] == '*';
    if (is_default)
        name[n - 1] = '\0';
    return wanted ? strcmp(name, wanted) == 0 : is_default;
}

static int count_of(const char *text)
{
    long x = strtol(text, NULL, 10);
    return x < 0 ? 0 : x > INT_MAX ? INT_MAX : (int)x;
}

int slurm_nodes(const char *text, const char *partition, struct arena *a, struct slurm_node **ret)
{
    enum { NAME, CPUS, SOCKETS, CORES, MEMORY, STATE, PARTITION, FIELDS };
    size_t cap = 0;
    int n = 0;
    AUTO(mem) struct slurm_node *node = NULL;
    char *field[FIELDS];
    for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        char *line = arena_printf(a, "%.*s", (int)strcspn(at, "\n"), at);
        if (split(line, field, FIELDS) < FIELDS || !in_partition(field[PARTITION], partition))
            continue;
        int cpus = count_of(field[CPUS]), cores = count_of(field[SOCKETS]) * count_of(field[CORES]);
        node = xgrow(node, &cap, (size_t)n + 1, sizeof *node);
        node[n++] = (struct slurm_node){.name = field[NAME],
                                        .state = field[STATE],
                                        .cpus = cpus,
                                        .cores = cores > 0 && cores < cpus ? cores : cpus,
                                        .memory = count_of(field[MEMORY]) * MIB};
    }
    *ret = arena_alloc(a, ((size_t)n + 1) * sizeof **ret);
    if (n)
        memcpy(*ret, node, (size_t)n * sizeof *node);
    return n;
}

/* ---- --slurm ---- */

static bool set_text(void *field, const char *value, struct arena *a)
{
    *(const char **)field = arena_strdup(a, value);
    return *value != '\0';
}

static bool set_minutes(void *field, const char *value, struct arena *a)
{
    return (*(int *)field = slurm_minutes(value)) > 0;
}

static bool set_count(void *field, const char *value, struct arena *a)
{
    char *end;
    long x = strtol(value, &end, 10);
    *(int *)field = (int)x;
    return end != value && !*end && x >= 1 && x <= 100000;
}

static bool set_size(void *field, const char *value, struct arena *a)
{
    return size_read(value, field) && *(int64_t *)field >= MIB;
}

static const struct wish_row {
    const char *name;
    size_t offset;
    bool (*set)(void *field, const char *value, struct arena *a);
    const char *doc;
} rows[] = {{"partition", offsetof(struct slurm_wish, partition), set_text, "a name"},
            {"account", offsetof(struct slurm_wish, account), set_text, "a name"},
            {"qos", offsetof(struct slurm_wish, qos), set_text, "a name"},
            {"constraint", offsetof(struct slurm_wish, constraint), set_text, "features of nodes"},
            {"reservation", offsetof(struct slurm_wish, reservation), set_text, "a name"},
            {"time", offsetof(struct slurm_wish, minutes), set_minutes, "a time such as 90m or 4h"},
            {"nodes", offsetof(struct slurm_wish, nodes), set_count, "a number from 1 on"},
            {"cores", offsetof(struct slurm_wish, cores), set_count, "a number from 1 on"},
            {"memory", offsetof(struct slurm_wish, memory), set_size, SIZE_HELP}};
#define ROWS (sizeof rows / sizeof *rows)

static bool unknown(const char *name, struct error *err)
{
    const char *names[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        names[i] = rows[i].name;
    const char *near = nearest_name(names, ROWS, name);
    return error_set(err, NULL, ERROR_INPUT,
                     "--slurm has no '%s'%s%s%s: it takes partition, account, qos, constraint, reservation, "
                     "time, nodes, cores and memory",
                     name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool set_one(char *word, struct arena *a, struct slurm_wish *ret, struct error *err)
{
    char *value = strchr(word, '=');
    size_t i = 0;
    if (!value)
        return error_set(err, NULL, ERROR_INPUT, "--slurm takes NAME=VALUE words, not '%s'", word);
    *value++ = '\0';
    while (i < ROWS && strcmp(rows[i].name, word) != 0)
        i++;
    if (i == ROWS)
        return unknown(word, err);
    return rows[i].set((char *)ret + rows[i].offset, value, a) ||
           error_set(err, NULL, ERROR_INPUT, "--slurm %s= takes %s, not '%s'", word, rows[i].doc, value);
}

bool slurm_wish_read(const char *text, struct arena *a, struct slurm_wish *ret, struct error *err)
{
    *ret = (struct slurm_wish){.nodes = NODES_DEFAULT};
    for (const char *at = text; *(at += strspn(at, " \t\n")); at += strcspn(at, " \t\n"))
        if (!set_one(arena_printf(a, "%.*s", (int)strcspn(at, " \t\n"), at), a, ret, err))
            return false;
    return ret->nodes <= NODES_MOST ||
           error_set(err, NULL, ERROR_INPUT, "--slurm nodes= takes %d at most", NODES_MOST);
}
