/* weft version: what a report of a fault should say. */
#include "base/json.h"
#include "engine/cli/cmd.h"
#include "engine/exec/versions.h"
#include <stdio.h>

static const struct opt opts[] = {OPT_ROW_JSON, {0}};

static int run(const struct cmd_args *a)
{
    AUTO_JSON libs = versions_libraries();
    const char *commit = *versions_commit ? versions_commit : "unknown", *name;
    if (cmd_opt(a, "json")->set)
        return cmd_print_json(json_pack("{s:s, s:s, s:s, s:O}", "commit", commit, "date",
                                        versions_commit_date, "compiler", __VERSION__, "libraries", libs));
    printf("weft, commit %s%s%s\ncompiler %s\n", commit, *versions_commit_date ? " of " : "",
           versions_commit_date, __VERSION__);
    json_t *version;
    json_object_foreach(libs, name, version) printf("%-10s %s\n", name, json_string_value(version));
    return 0;
}

const struct cmd cmd_version = {
    .name = "version",
    .group = "About weft",
    .doc = "Say which weft this is, and the versions of its libraries.",
    .details =
        "The commit of the source is known when weft was built in a git checkout; \"-dirty\" behind it says "
        "that "
        "files were changed. Results do not depend on it: a stage's own version is part of a task's key.",
    .args = (const struct arg[]){{0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft version --json", "the same for programs"}, {0}},
    .run = run};
