# A ledger of searches as log_search() records them, of curves of which one diverges, and of runs that failed, were
# declared void or still run: Rscript searches.R FOLDER
# Leaves runs.csv and its page as view_runs() writes it, page.html.
library(fitledger)
folder <- commandArgs(TRUE)[[1]]
dir.create(folder, showWarnings = FALSE)
setwd(folder)
unlink(c("runs.csv", "runs.csv.objects"), recursive = TRUE)
ledger <- "runs.csv"
set.seed(3)
parameters <- list(
  boost_tree = c("trees", "tree_depth", "learn_rate", "min_n", "loss_reduction", "sample_size", "mtry", "stop_iter", "alpha", "gamma"),
  glmnet = c("penalty", "mixture", "standardize", "degree", "interaction", "threshold", "num_comp", "neighbors", "over_ratio", "freq_cut"),
  mlp = c("hidden_units", "epochs", "dropout", "activation", "batch_size", "momentum", "weight_decay", "warmup", "clip", "schedule")
)
one_of <- function(name) {
  if (name %in% c("activation", "schedule")) {
    sample(c("relu", "tanh", "cosine"), 1)
  } else if (name %in% c("learn_rate", "penalty", "weight_decay")) {
    10^runif(1, -4, 0)
  } else {
    signif(runif(1, 1, 10), 3)
  }
}
for (learner in names(parameters)) {
  search <- start_run(
    ledger,
    list(learner = learner, metrics = c("roc_auc", "brier_class", "gain"), maximize = c("roc_auc", "gain"), resamples = paste0("Fold", 1:5)),
    experiment = "churn", name = if (learner == "mlp") "a small network"
  )
  for (i in 1:8) {
    tuned <- lapply(setNames(nm = parameters[[learner]]), one_of)
    candidate <- start_run(
      ledger, c(list(learner = learner), tuned),
      experiment = "churn", parent = search$run_id, tags = list(config = i, by = c("ann", "bob")[i %% 2 + 1])
    )
    auc <- 0.8 + 0.02 * match(learner, names(parameters)) + 0.01 * (i %% 4) + rnorm(1, sd = 0.005)
    for (fold in 1:5) {
      log_metrics(candidate, roc_auc = auc + rnorm(1, sd = 0.02), brier_class = 0.2 - auc / 10 + rnorm(1, sd = 0.01), step = fold)
    }
    end_run(candidate, list(roc_auc = auc, gain = 10 * auc, roc_auc.std_err = 0.01))
  }
  end_run(search)
  if (learner == "glmnet") {
    final <- start_run(ledger, list(learner = learner, penalty = 0.01), name = "final fit", experiment = "churn", parent = search$run_id)
    end_run(final, list(roc_auc = 0.86))
  }
}

for (eta in c(0.01, 0.03, 0.1, 0.3, 3)) {
  run <- start_run(ledger, list(learner = "net", eta = eta), experiment = "step sizes")
  loss <- 10
  for (step in 1:60) {
    loss <- if (eta < 1) 0.2 + (loss - 0.2) * (1 - eta / 3) + rnorm(1, sd = 0.02) else loss * (if (step > 30) 4.2 else 0.97)
    log_metrics(run, loss = loss, val_loss = loss * 1.1 + 0.05, step = step)
  }
  if (eta > 1) log_metrics(run, loss = NaN, val_loss = Inf, step = 61)
  png("fit.png", 480, 320)
  plot(cumsum(rnorm(50)), type = "l", col = "#3f7fd6", main = paste("eta", eta), xlab = "step", ylab = "residual")
  dev.off()
  log_artifact(run, "residuals.png", "fit.png")
  if (eta < 0.1) log_artifact(run, "importance.png", "fit.png")
  end_run(run)
}
diverging <- function(run) stop("The loss is not a number any more:\n  step 12, batch 7, after 3 halvings of the step size.")
try(with_run(ledger, list(learner = "net", eta = 30), diverging, experiment = "step sizes"), silent = TRUE)
log_note(ledger, read_runs(ledger)$run_id[[3]], "Twice as slow as the others; the machine was busy.")
negative <- log_run(ledger, list(learner = "net", eta = -1), list(loss = 0), experiment = "step sizes")
void_run(ledger, negative, "eta can't be negative")
running <- start_run(ledger, list(learner = "net", eta = 0.2), experiment = "step sizes")
log_metrics(running, loss = 1, step = 1)
view_runs(ledger, "page.html", open = FALSE)
