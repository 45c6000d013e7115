#include "engine/cli/sweep_metrics.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/resolve.h"
#include <math.h>
#include <string.h>

static json_t *read_file(struct store *store, const char *dir, const struct record_file *f, struct error *err)
{
    AUTO(mem) char *path = fs_temp_name(dir, "metrics");
    if (!store_get_file(store, &f->digest, f->size, path, err))
        return NULL;
    json_t *o = json_read(path, err);
    fs->unlink(path);
    return o;
}

json_t *sweep_rows(struct store *store, const char *dir, const struct task *t, const struct record *r,
                   struct error *err)
{
    for (const struct port *p = t->stage->outputs; p && p->name; p++) {
        const struct record_output *o = p->type == ARTIFACT_METRICS ? record_find_output(r, p->name) : NULL;
        for (size_t i = 0; o && i < o->n; i++) {
            if (strcmp(o->file[i].name, "metrics.json") != 0)
                continue;
            AUTO_JSON file = read_file(store, dir, &o->file[i], err);
            if (!file) {
                error_context(err, "metrics of task '%s'", t->name);
                return NULL;
            }
            json_t *rows = json_object_get(file, "rows");
            return json_is_array(rows) ? json_incref(rows) : json_array();
        }
    }
    return json_array();
}

double sweep_mean(const json_t *const *rows, int n, const char *metric)
{
    double sum = 0;
    int64_t count = 0;
    bool all = strcmp(metric, "average") == 0;
    for (int i = 0; i < n; i++)
        for (size_t k = 0; k < json_array_size(rows[i]); k++) {
            const json_t *row = json_array_get(rows[i], k), *value = json_object_get(row, "value");
            if (!json_is_number(value) || (!all && strcmp(json_string_or(row, "metric", ""), metric) != 0))
                continue;
            sum += json_number_value(value);
            count++;
        }
    return count ? sum / (double)count : NAN;
}
