#!/usr/bin/Rscript
# The benchmark's posteriors in Stan: the peer of the rows of NUTS in workloads.lua; their models are in stan/.
#
#   Rscript --vanilla peer_stan.R FOLDER
#
# Models are compiled into FOLDER when they are first asked for, which takes a minute each.  Lives as long as the driver
# and does what it is told, a line on standard input at a time:
#   data NAME FIELD number|list VALUES     what the model is given
#   run NAME UNITS     4 chains, half of their steps to warm up, of about so many gradients; answers with the seconds
#                      that sampling() took and how many gradients they were
#   grad NAME U        answers with the gradient of the log density at the unconstrained place U
#   drop NAME          forgets the model and its data
# An answer is one line: "ok" and numbers, or "error" and a message.  Invariant: nothing else is written there, whatever
# R and Stan have to say, which goes to standard error.

answers <- file("/dev/stdout", "w", raw = TRUE)
sink(stderr())
answer <- function (...) {
  cat(..., "\n", file = answers)
  flush(answers)
}

arguments <- commandArgs(TRUE)
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1]))
if (!suppressWarnings(suppressMessages(require(rstan, quietly = TRUE)))) {
  answer("error r-cran-rstan is not installed")
  quit(status = 0)
}
rstan_options(auto_write = TRUE)             # beside the copy in FOLDER, for as long as that is not newer
rstan_options(boost_lib = "/usr/include")    # where Debian has it

models <- list()
given <- list()                              # data of each
steps_per_unit <- 1 / 60                     # as methods.lua counts

model_of <- function (name) {
  if (is.null(models[[name]])) {
    dir.create(arguments[1], recursive = TRUE, showWarnings = FALSE)
    copy <- file.path(arguments[1], paste0(name, ".stan"))
    file.copy(file.path(here, "stan", basename(copy)), copy, overwrite = TRUE, copy.date = TRUE)
    if (!file.exists(sub("stan$", "rds", copy))) message("stan: compiling ", name, ", about a minute")
    models[[name]] <<- stan_model(copy)
  }
  models[[name]]
}

set_data <- function (name, field, kind, values) {
  values <- as.numeric(values)
  if (is.null(given[[name]])) given[[name]] <<- list()
  given[[name]][[field]] <<- if (kind == "list") as.array(values) else values
}

run <- function (name, units) {
  steps <- max(floor(units * steps_per_unit), 20)
  model <- model_of(name)
  began <- proc.time()[["elapsed"]]
  fit <- suppressWarnings(sampling(model, given[[name]], chains = 4, iter = 2 * steps, warmup = steps, cores = 1,
                                   refresh = 0))
  seconds <- proc.time()[["elapsed"]] - began
  told <- get_sampler_params(fit, inc_warmup = TRUE)
  c(seconds, sum(sapply(told, function (chain) sum(chain[, "n_leapfrog__"]))))
}

gradient <- function (name, u) {
  fit <- suppressMessages(sampling(model_of(name), given[[name]], chains = 0))
  as.numeric(grad_log_prob(fit, as.numeric(u)))
}

obey <- function (words) {
  name <- words[2]
  switch(words[1],
    data = { set_data(name, words[3], words[4], words[-(1:4)]); NULL },
    run = run(name, as.numeric(words[3])),
    grad = gradient(name, words[-(1:2)]),
    drop = { models[[name]] <<- NULL; given[[name]] <<- NULL; NULL },
    stop("unknown request ", words[1]))
}

answer("ok", as.character(packageVersion("rstan")))
requests <- file("stdin", "r")
while (length(line <- readLines(requests, 1)) > 0) {
  answer(tryCatch(c("ok", sprintf("%.17g", obey(strsplit(line, " ")[[1]]))),
                  error = function (e) c("error", gsub("\\s+", " ", conditionMessage(e)))))
}
