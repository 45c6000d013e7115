/* weft version: what a report of a fault should say. */
#include "base/json.h"
#include "engine/cli/cmd.h"
#include <archive.h>
#include <hwloc.h>
#include <jpeglib.h> /* needs stdio.h */
#include <openssl/crypto.h>
#include <png.h>
#include <stdio.h>
#include <yaml.h>
#include <zstd.h>

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

static const struct opt opts[] = {OPT_ROW_JSON, {0}};

#ifdef LIBJPEG_TURBO_VERSION
#define JPEG_NAME TEXT(LIBJPEG_TURBO_VERSION)
#else
#define JPEG_NAME TEXT(JPEG_LIB_VERSION)
#endif

/* The libraries as they are loaded now, but libjpeg, which does not say. */
static json_t *libraries(void)
{
    unsigned hwloc = hwloc_get_api_version();
    char hwloc_text[32];
    snprintf(hwloc_text, sizeof hwloc_text, "%u.%u.%u", hwloc >> 16, hwloc >> 8 & 0xFF, hwloc & 0xFF);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "libyaml", yaml_get_version_string(),
                     "hwloc", hwloc_text, "jansson", jansson_version_str(), "zstd", ZSTD_versionString(),
                     "openssl", OpenSSL_version(OPENSSL_VERSION_STRING), "libarchive",
                     archive_version_string() + sizeof "libarchive", "libpng", png_get_libpng_ver(NULL),
                     "libjpeg", JPEG_NAME);
}

static int run(const struct cmd_args *a)
{
    AUTO_JSON libs = libraries();
    const char *commit = *cmd_commit ? cmd_commit : "unknown", *name;
    if (cmd_opt(a, "json")->set)
        return cmd_print_json(json_pack("{s:s, s:s, s:s, s:O}", "commit", commit, "date", cmd_commit_date,
                                        "compiler", __VERSION__, "libraries", libs));
    printf("weft, commit %s%s%s\ncompiler %s\n", commit, *cmd_commit_date ? " of " : "", cmd_commit_date,
           __VERSION__);
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
