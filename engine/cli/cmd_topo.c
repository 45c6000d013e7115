/* weft topo: the machine, or a described one, what runs where on it, and where tasks would go. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "engine/cli/cmd.h"
#include "engine/cli/topoview.h"
#include "engine/exec/runlog.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct opt opts[] = {
    {"topology", 0, OPT_STRING, "TOPOLOGY",
     "another machine: a synthetic description such as 'pack:2 l3:4 core:8 pu:2', or a file of hwloc's that "
     "ends in .xml"},
    OPT_ROW_THREADS,
    {"place", 0, OPT_STRING, "WIDTHS", "where tasks of so many cores would go, one after the other: 4,4,8"},
    {"spread", 0, OPT_FLAG, NULL, "place them far apart, not close together"},
    {"xml", 0, OPT_FLAG, NULL, "print the topology as hwloc's XML, for --topology elsewhere"},
    OPT_ROW_STORE,
    OPT_ROW_JSON,
    {0}};

/* ---- what runs ---- */

static bool see_begin(void *arg, const json_t *event)
{
    bool *here = arg;
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    *here = strcmp(json_string_or(event, "host", ""), host) == 0;
    return false; /* it is the first event */
}

/* Adds the tasks of a run at work on this machine; those of other nodes have a node's name. */
static void add_tasks(const char *store, const char *id, json_t *all)
{
    size_t i;
    json_t *task;
    bool here = false;
    AUTO(mem) char *path = runlog_status_path(store, id);
    AUTO_JSON status = runlog_alive(store, id) && fs_exists(path) ? json_read(path, NULL) : NULL;
    if (!status || !runlog_read(store, id, see_begin, &here, NULL) || !here)
        return;
    json_array_foreach(json_object_get(status, "tasks"), i, task)
    {
        if (*json_string_or(task, "node", ""))
            continue;
        json_object_set_new(task, "run", json_string(id));
        json_array_append(all, task);
    }
}

/* A store that is not there has no runs, and is not made. */
static json_t *tasks_at_work(const struct cmd_args *a)
{
    AUTO(mem) char *store = cmd_store_path(a);
    json_t *all = json_array();
    char **list;
    size_t n;
    if (cmd_opt(a, "topology")->set || !fs_is_dir(store) || !runlog_list(store, &list, &n, NULL))
        return all;
    for (size_t i = 0; i < n; i++)
        add_tasks(store, list[i], all);
    fs_list_free(list, n);
    return all;
}

/* ---- where tasks would go ---- */

/* [{"cores", "cpuset", "nodes", "object"}], cpuset and what follows null where there is no room. */
static bool place_all(struct topo *t, const char *widths, enum topo_policy policy, json_t **ret,
                      struct error *err)
{
    *ret = json_array();
    for (const char *at = widths;; at++) {
        char *end;
        long n = strtol(at, &end, 10);
        if (*at < '0' || *at > '9' || n < 1 || n > 1000000 || (*end && *end != ','))
            return error_set(err, NULL, ERROR_INPUT, "--place takes numbers of cores such as 4,4,8, not '%s'",
                             widths);
        struct place *p = topo_reserve(t, (int)n, policy, NULL); /* given back with the topology */
        json_array_append_new(*ret, json_pack("{s:i, s:s?, s:s?, s:s?}", "cores", (int)n, "cpuset",
                                              p ? place_cpuset(p) : NULL, "nodes", p ? place_nodes(p) : NULL,
                                              "object", p ? place_object(p) : NULL));
        at = end;
        if (!*at)
            return true;
    }
}

static void print_places(const json_t *places)
{
    size_t i;
    json_t *p;
    json_array_foreach(places, i, p)
    {
        long long cores = (long long)json_int_or(p, "cores", 0);
        const char *cpuset = json_string_or(p, "cpuset", "");
        if (*cpuset)
            printf("%4lld core%s on %s: %s, memory of node %s\n", cores, cores == 1 ? " " : "s", cpuset,
                   json_string_or(p, "object", ""), json_string_or(p, "nodes", ""));
        else
            printf("%4lld core%s: no room\n", cores, cores == 1 ? " " : "s");
    }
}

/* ---- the command ---- */

static int print(const struct cmd_args *a, struct topo *t, struct error *err)
{
    AUTO_JSON tasks = tasks_at_work(a);
    AUTO_JSON places = NULL;
    const struct opt_value *place = cmd_opt(a, "place");
    enum topo_policy policy = cmd_opt(a, "spread")->set ? TOPO_SPREAD : TOPO_COMPACT;
    if (place->set && !place_all(t, place->string, policy, &places, err))
        return cmd_fail(err);
    if (cmd_opt(a, "json")->set) {
        json_t *o =
            json_pack("{s:i, s:I, s:o, s:O}", "cores", topo_cores(t), "memory", (json_int_t)topo_memory(t),
                      "tree", topoview_json(t, topo_root(t)), "tasks", tasks);
        if (places)
            json_object_set(o, "places", places);
        return cmd_print_json(o);
    }
    if (places)
        print_places(places);
    else
        topoview_print(t, tasks);
    return 0;
}

static int print_xml(const struct topo *t, struct error *err)
{
    AUTO(mem) char *text = NULL;
    if (!topo_xml(t, &text, err))
        return cmd_fail(err);
    fputs(text, stdout);
    return 0;
}

static int run(const struct cmd_args *a)
{
    struct topo *t;
    struct error err = {0};
    const struct topo_options o = {.source = cmd_opt(a, "topology")->string,
                                   .threads = cmd_opt(a, "threads")->set};
    if (cmd_opt(a, "xml")->set && (cmd_opt(a, "json")->set || cmd_opt(a, "place")->set))
        error_set(&err, NULL, ERROR_INPUT, "--xml goes with neither --json nor --place");
    else if (cmd_opt(a, "spread")->set && !cmd_opt(a, "place")->set)
        error_set(&err, NULL, ERROR_INPUT, "--spread says how --place is to place tasks, which is missing");
    if (err.text[0] || !topo_open(&o, &t, &err))
        return cmd_fail(&err);
    int status = cmd_opt(a, "xml")->set ? print_xml(t, &err) : print(a, t, &err);
    topo_close(t);
    return status;
}

const struct cmd cmd_topo = {
    .name = "topo",
    .group = "Look at results",
    .doc = "Show the machine's cores, caches and memory, and what runs where.",
    .details =
        "The tree has what this process may use: its cpuset, its affinity and the limit of its control "
        "group bound it. Equal neighbours are one line, \"8 x core\". Below an object stand the tasks that "
        "it is the smallest to hold, of all runs at work in the store on this machine.\n\n"
        "--place asks where tasks of such widths would go on the empty machine, in that order: close "
        "together, in the smallest of cache, memory node, package and machine that has room, or with "
        "--spread as far apart as can be. Another machine is described by a line or by the XML that --xml "
        "(or hwloc's lstopo) wrote there.",
    .args = (const struct arg[]){{0}},
    .opts = opts,
    .examples =
        (const struct example[]){
            {"weft topo", "this machine, and what runs on it"},
            {"weft topo --xml >node.xml", "to look at it elsewhere"},
            {"weft topo --topology node.xml --place 4,4,8", "where tasks would go there"},
            {"weft topo --topology 'pack:2 numa:4 l3:2 core:8 pu:2' --place 16 --spread",
             "on a machine that one has not got"},
            {0}},
    .run = run};
