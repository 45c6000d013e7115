#include "stages/job/scoring.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include <math.h>

static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_TASK, "out of memory for the scores");
}

bool scoring_begin(struct scoring *s, const struct dataset *data, struct arena *a, struct error *err)
{
    *s = (struct scoring){.data = data, .samples = dataset_count(data), .classes = dataset_classes(data)};
    if (s->classes < 1 || s->samples < 1)
        return error_set(err, NULL, ERROR_INPUT, "the data set has no labelled images");
    s->predicted = arena_try(a, (size_t)s->samples * sizeof *s->predicted);
    s->right = arena_try(a, (size_t)s->classes * sizeof *s->right);
    s->count = arena_try(a, (size_t)s->classes * sizeof *s->count);
    return (s->predicted && s->right && s->count) || no_memory(err);
}

bool scoring_texts(const struct scoring *s, const struct clip *m, const char *dir,
                   const struct prompt_params *p, struct arena *a, const float **ret, struct error *err)
{
    AUTO(tokenizer) struct tokenizer *t = NULL;
    float *text = arena_floats(a, s->classes * m->config.embed);
    if (!text)
        return no_memory(err);
    *ret = text;
    return tokenizer_open(dir, &t, err) &&
           prompt_features(m, t, p, dataset_class_names(s->data), s->classes, text, err);
}

bool scoring_see(struct scoring *s, int64_t first, int64_t n, const float *z, struct error *err)
{
    for (int64_t i = 0; i < n; i++, z += s->classes) {
        int best = 0, label = dataset_label(s->data, first + i);
        for (int k = 1; k < s->classes; k++)
            if (z[k] > z[best])
                best = k;
        if (!isfinite(z[best]))
            return error_set(err, NULL, ERROR_TASK,
                             "the model gives numbers that are not finite for sample '%s'",
                             dataset_id(s->data, first + i));
        s->predicted[first + i] = best;
        s->count[label]++;
        s->right[label] += best == label;
    }
    return true;
}

/* ---- writing ---- */

static bool write_metrics(struct stage_context *ctx, const struct scoring *s, struct scoring_names names,
                          json_t *more, struct error *err)
{
    int64_t right = 0, n = 0;
    AUTO_JSON metrics = json_object();
    json_t *classes = json_array();
    for (int64_t k = 0; k < s->classes; k++) {
        right += s->right[k];
        n += s->count[k];
        json_array_append_new(classes,
                              json_pack("{s:s, s:I, s:I}", "class", dataset_class(s->data, (int)k), "n",
                                        (json_int_t)s->count[k], "correct", (json_int_t)s->right[k]));
    }
    double accuracy = (double)right / (double)n;
    stage_metric(ctx, "accuracy", accuracy, 0);
    json_object_set_new(metrics, "rows",
                        json_pack("[{s:s, s:s, s:s, s:f, s:I, s:I, s:s}]", "system", names.system, "domain",
                                  names.domain, "metric", "accuracy", "value", accuracy, "n", (json_int_t)n,
                                  "correct", (json_int_t)right, "replicate", names.replicate));
    json_object_set_new(metrics, "per_class", classes);
    if (more)
        json_object_update(metrics, more);
    return json_write(stage_out_file(ctx, "metrics", "metrics.json"), metrics, err);
}

/* A line a sample by hand: there may be many. */
static bool write_predictions(struct stage_context *ctx, const struct scoring *s, struct scoring_names names,
                              struct error *err)
{
    AUTO(buf) struct buf lines = {0};
    for (int64_t i = 0; i < s->samples; i++) {
        buf_puts(&lines, "{\"id\": ");
        json_put_string(&lines, dataset_id(s->data, i));
        buf_puts(&lines, ", \"label\": ");
        json_put_string(&lines, dataset_class(s->data, dataset_label(s->data, i)));
        buf_puts(&lines, ", \"predicted\": ");
        json_put_string(&lines, dataset_class(s->data, s->predicted[i]));
        buf_puts(&lines, "}\n");
    }
    AUTO_JSON head = json_pack("{s:s, s:s, s:s, s:I}", "system", names.system, "domain", names.domain,
                               "replicate", names.replicate, "n", (json_int_t)s->samples);
    return json_write(stage_out_file(ctx, "predictions", "predictions.json"), head, err) &&
           fs_write_file(stage_out_file(ctx, "predictions", "predictions.jsonl"), lines.data, lines.len, err);
}

bool scoring_write(struct stage_context *ctx, const struct scoring *s, struct scoring_names names,
                   json_t *more, struct error *err)
{
    return write_metrics(ctx, s, names, more, err) && write_predictions(ctx, s, names, err);
}
