# MLflow's file stores, written as MLflow writes them.

# A file with these bytes, with the folders above it.
put_file <- function(path, text = "") {
  dir.create(dirname(path), recursive = TRUE, showWarnings = FALSE)
  writeBin(if (is.raw(text)) text else charToRaw(enc2utf8(text)), path)
}

put_meta <- function(folder, ...) {
  fields <- c(...)
  put_file(file.path(folder, "meta.yaml"), paste0(names(fields), ": ", fields, "\n", collapse = ""))
}

mlflow_store <- function(experiment = "153282012734109160", name = "ridge") {
  store <- file.path(withr::local_tempdir(.local_envir = parent.frame()), "mlruns")
  mlflow_experiment(store, "0", "Default")
  if (!is.null(experiment)) mlflow_experiment(store, experiment, name)
  store
}

mlflow_experiment <- function(store, id, name, stage = "active", folder = id) {
  put_meta(
    file.path(store, folder),
    artifact_location = paste0("file:///home/alice/project/mlruns/", id), creation_time = "1795621544098",
    experiment_id = sprintf("'%s'", id), last_update_time = "1795621544098", lifecycle_stage = stage, name = name,
    workspace = "default"
  )
}

# `metrics`, `params`, `tags`: named lists of what stands in each file.
mlflow_run <- function(store, id, status = 3, start = "1700000000000", end = "1700000001500", ...,
                       metrics = NULL, params = NULL, tags = NULL, artifacts = NULL, stage = "active",
                       name = "calm-owl-7", experiment = "153282012734109160", user = "unknown",
                       uri = paste0("file:///home/alice/project/mlruns/", experiment, "/", id, "/artifacts")) {
  folder <- file.path(store, experiment, id)
  put_meta(
    folder,
    artifact_uri = uri, end_time = end, entry_point_name = "''", experiment_id = sprintf("'%s'", experiment),
    lifecycle_stage = stage, run_id = id, run_name = name, source_name = "''", source_type = "4",
    source_version = "''", start_time = start, status = status, tags = "[]", user_id = user, ...
  )
  kinds <- list(metrics = metrics, params = params, tags = tags, artifacts = artifacts)
  for (kind in names(kinds)) {
    for (key in names(kinds[[kind]])) put_file(file.path(folder, kind, key), kinds[[kind]][[key]])
  }
  folder
}

mlflow_version <- function(store, model, version, run = "null", source = "null", stage = "None") {
  folder <- file.path(store, "models", model)
  if (!file.exists(file.path(folder, "meta.yaml"))) {
    put_meta(
      folder,
      creation_timestamp = "1700000002000", description = "null", last_updated_timestamp = "1700000003000", name = model
    )
  }
  put_meta(
    file.path(folder, paste0("version-", version)),
    creation_timestamp = "1700000002000", current_stage = stage, description = "null",
    last_updated_timestamp = "1700000002500", name = model, run_id = run, run_link = "null", source = source,
    status = "READY", storage_location = source, user_id = "null", version = version
  )
}

quietly <- function(code) suppressMessages(code, classes = "fitledger_message_imported")

# What two ledgers must have in common when they hold the same record, but for void runs. MLflow counts milliseconds.
record_of <- function(file) {
  millis <- function(time) floor(as.numeric(time) * 1000 + 5e-4)
  runs <- read_runs(file, details = TRUE)
  runs <- runs[order(runs$run_id), ]
  records <- lapply(runs$run_id, function(id) {
    record <- unclass(read_run(file, id))
    artifacts <- read_artifacts(file, id)
    list(
      run = record[c("run_id", "name", "status")], params = sorted(record$params), metrics = sorted(record$metrics),
      tags = sorted(record$tags), notes = read_notes(file, id)$text,
      data = sorted(lapply(record$data, function(data) data[c("hash", "rows", "columns")])),
      artifacts = sort(paste(artifacts$artifact, artifacts$sha256))
    )
  })
  beside <- intersect(c("run_id", "experiment", "parent", "user", "script", "commit"), names(runs))
  models <- read_models(file)
  models$registered <- millis(models$registered)
  models$stages <- lapply(models$stages, sort)
  series <- read_metrics(file)
  series$time <- millis(series$time)
  series <- series[order(series$run_id, series$metric), ]
  list(
    records = records, runs = plain_frame(runs[beside]), start = millis(runs$timestamp),
    end = millis(as.numeric(runs$timestamp) + runs$duration), series = plain_frame(series),
    models = plain_frame(models[order(models$model, models$version), ])
  )
}

sorted <- function(x) x[order(names(x))]

plain_frame <- function(x) {
  rownames(x) <- NULL
  x
}
