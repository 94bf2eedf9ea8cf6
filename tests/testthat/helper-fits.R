# Fits of classes for which there is no method of ours, as functions of random data: `d` with `y`, `x`, `z`, `count`,
# `yes`, `kind`, and a series `s`.
random_data <- function(seed) {
  withr::with_seed(seed, {
    n <- 60
    x <- stats::rnorm(n)
    z <- stats::runif(n)
    d <- data.frame(
      x = x, z = z, y = 2 + x - z + stats::rnorm(n) / 2, count = stats::rpois(n, exp(0.5 + x / 3)),
      yes = stats::rbinom(n, 1, stats::plogis(x)), kind = factor(sample(c("a", "b", "c"), n, TRUE)),
      g = factor(rep(1:6, each = 10)), time = stats::rexp(n, exp(x / 2)), dead = stats::rbinom(n, 1, 0.7)
    )
    list(d = d, s = stats::ts(10 + cumsum(stats::rnorm(72)), frequency = 12, start = 2000))
  })
}

makers_of_fits <- list(
  lm = function(d, s) lm(y ~ x + z, d),
  weighted = function(d, s) lm(y ~ x, d, weights = d$z),
  poly = function(d, s) lm(y ~ poly(x, 2) + kind, d),
  mlm = function(d, s) lm(cbind(y, count) ~ x, d),
  binomial = function(d, s) glm(yes ~ x, binomial(), d),
  poisson = function(d, s) glm(count ~ x + z, poisson, d),
  gamma = function(d, s) glm(time ~ z, Gamma("log"), d),
  quasi = function(d, s) glm(count ~ x, quasipoisson, d),
  nls = function(d, s) nls(y ~ a + b * x, d, start = list(a = 1, b = 1)),
  loess = function(d, s) loess(y ~ x, d, span = 0.8),
  aov = function(d, s) aov(y ~ kind, d),
  strata = function(d, s) aov(y ~ x + Error(g), d),
  spline = function(d, s) smooth.spline(d$x, d$y),
  arima = function(d, s) arima(s, c(1, 0, 0)),
  winters = function(d, s) HoltWinters(s, gamma = FALSE, beta = FALSE),
  struct = function(d, s) StructTS(s, "level"),
  prcomp = function(d, s) prcomp(d[c("x", "y", "z")], scale. = TRUE),
  princomp = function(d, s) princomp(d[c("x", "y", "z")]),
  factanal = function(d, s) {
    x <- cbind(d$x, d$x + d$z / 2, d$y, d$y - d$z, d$count + d$x, d$time + d$y)
    colnames(x) <- letters[1:6]
    factanal(x, 1)
  },
  kmeans = function(d, s) kmeans(d[c("x", "y")], 3),
  hclust = function(d, s) hclust(dist(d[c("x", "y")])),
  optim = function(d, s) optim(c(0, 0), function(p) sum((d$y - p[[1]] - p[[2]] * d$x)^2)),
  nlm = function(d, s) nlm(function(p) sum((d$y - p)^2), 0),
  density = function(d, s) density(d$x),
  ecdf = function(d, s) ecdf(d$x),
  ppr = function(d, s) ppr(y ~ x + z, data = d, nterms = 1),
  supsmu = function(d, s) supsmu(d$x, d$y),
  lowess = function(d, s) lowess(d$x, d$y),
  stl = function(d, s) stl(s, "periodic"),
  test = function(d, s) t.test(y ~ yes, d),
  coxph = function(d, s) survival::coxph(survival::Surv(time, dead) ~ x, d),
  survreg = function(d, s) survival::survreg(survival::Surv(time, dead) ~ x, d),
  survfit = function(d, s) survival::survfit(survival::Surv(time, dead) ~ 1, d),
  gam = function(d, s) mgcv::gam(y ~ s(x, k = 4), data = d),
  bam = function(d, s) suppressWarnings(mgcv::bam(y ~ s(x, k = 4), data = d)),
  nnet = function(d, s) nnet::nnet(y ~ x, d, size = 2, trace = FALSE, linout = TRUE),
  multinom = function(d, s) nnet::multinom(kind ~ x, d, trace = FALSE),
  rlm = function(d, s) MASS::rlm(y ~ x, d),
  lda = function(d, s) MASS::lda(kind ~ x + z, d),
  polr = function(d, s) MASS::polr(kind ~ x, d, Hess = TRUE),
  glm.nb = function(d, s) suppressWarnings(MASS::glm.nb(count ~ x, d)),
  fitdistr = function(d, s) MASS::fitdistr(d$time, "exponential"),
  lme = function(d, s) nlme::lme(y ~ x, random = ~ 1 | g, data = d),
  gls = function(d, s) nlme::gls(y ~ x, d),
  pam = function(d, s) cluster::pam(d[c("x", "y")], 2),
  mle = function(d, s) stats4::mle(function(m = 0) sum((d$y - m)^2), method = "BFGS")
)

# The fit of a maker, NULL where its package isn't here or its method doesn't converge on these data.
random_fit <- function(maker, seed) {
  data <- random_data(seed)
  tryCatch(withr::with_seed(seed, makers_of_fits[[maker]](data$d, data$s)), error = function(e) NULL)
}
