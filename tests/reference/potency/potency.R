# Ratios of EC50s of two lines, fitted by R's nls: what tests compare `potency_shift` with.
#
#     Rscript potency.R means.csv > expected.csv
#
# One row per case. All parameters are fitted at once: the vehicle level of each line and batch, an
# effect per line (or one level and one effect, where limits are shared), log10 of the reference's
# EC50 per batch, log10 of the ratio, and one slope or one per line. "wald": Student's t with the
# residual degrees of freedom and the expected information, on the scale of the logarithm.
# "batches": sandwich over batches, with batches - 1 degrees of freedom. "delta": what
# EDcomp(…, interval = "delta") of the package drc states, the ratio's own scale and the observed
# information; its p is of the ratio being 1.

table <- read.csv(commandArgs(TRUE)[1], stringsAsFactors = FALSE)

fit <- function(d, slopes) {
  line <- d$line == "line"
  batch <- match(d$batch, unique(d$batch))
  n <- max(batch)
  shared <- d$limits[1] == "shared"
  group <- if (shared) rep(1, nrow(d)) else 2 * (batch - 1) + line + 1
  span <- if (shared) rep(1, nrow(d)) else line + 1
  levels <- max(group)
  spans <- max(span)
  x <- log10(ifelse(d$dose > 0, d$dose, 1))
  mean_at <- function(p) {
    theta <- p[levels + spans + batch] + line * p[levels + spans + n + 1]
    slope <- exp(p[levels + spans + n + 1 + ifelse(line, 1, slopes)])
    p[group] + p[levels + span] * ifelse(d$dose > 0, 1 / (1 + 10^(slope * (theta - x))), 0)
  }
  # The dose whose response lies nearest to the middle of a line's range is where EC50s begin.
  middle <- function(rows) {
    y <- d$response[rows]
    x[rows][which.min(abs(y - (max(y) + min(y)) / 2) + 1e9 * (d$dose[rows] == 0))]
  }
  from <- c(
    tapply(ifelse(d$dose == min(d$dose), d$response, NA), group, mean, na.rm = TRUE),
    rep(min(d$response) - max(d$response), spans),
    rep(middle(!line), n), middle(line) - middle(!line), rep(log(1.5), slopes)
  )
  cost <- function(p) sum(d$wells * (d$response - mean_at(p))^2)
  p <- optim(as.numeric(from), cost, method = "BFGS", control = list(
    maxit = 2000, reltol = 1e-12, parscale = pmax(abs(as.numeric(from)), 0.1)
  ))$par
  p <- coef(nls(response ~ mean_at(p),
    data = d, start = list(p = p), weights = d$wells, control = nls.control(tol = 1e-6)
  ))
  # Jacobian by central differences, for those of nls are of one side.
  step <- 1e-5 * pmax(abs(p), 1)
  jacobian_at <- function(p) sapply(seq_along(p), function(i) {
    e <- replace(numeric(length(p)), i, step[i])
    (mean_at(p + e) - mean_at(p - e)) / (2 * step[i])
  }) * sqrt(d$wells)
  for (i in 1:5) p <- p + qr.solve(jacobian_at(p), (d$response - mean_at(p)) * sqrt(d$wells))
  jacobian <- jacobian_at(p)
  residual <- (d$response - mean_at(p)) * sqrt(d$wells)
  list(
    p = p, jacobian = jacobian, residual = residual, cost = sum(residual^2), batch = batch, n = n,
    df = nrow(d) - length(p), ratio = levels + spans + n + 1, ec50 = levels + spans + 1,
    observed = optimHess(p, cost,
      control = list(parscale = pmax(abs(p), 1), ndeps = rep(1e-4, length(p)))
    ) / 2
  )
}

row <- function(case) {
  d <- table[table$case == case, ]
  one <- fit(d, 1)
  two <- fit(d, 2)
  slope_p <- pf((one$cost - two$cost) / (two$cost / two$df), 1, two$df, lower.tail = FALSE)
  f <- if (slope_p < 0.05) two else one
  log_ratio <- f$p[f$ratio]
  ratio <- 10^log_ratio
  bread <- solve(crossprod(f$jacobian))
  wald <- sqrt(bread[f$ratio, f$ratio] * f$cost / f$df)
  sandwich <- batches_p <- NA
  if (f$n > 1) {
    steps <- sapply(seq_len(f$n), function(b) {
      bread[f$ratio, ] %*% crossprod(f$jacobian[f$batch == b, ], f$residual[f$batch == b])
    })
    sandwich <- sqrt(f$n / (f$n - 1) * sum(steps^2))
    batches_p <- 2 * pt(-abs(log_ratio) / sandwich, f$n - 1)
  }
  delta <- sqrt(solve(f$observed)[f$ratio, f$ratio] * f$cost / f$df) * log(10) * ratio
  t <- qt(0.975, f$df)
  tb <- if (f$n > 1) qt(0.975, f$n - 1) else NA
  data.frame(
    case = case, ratio = ratio, slope_p = slope_p,
    hill = if (slope_p < 0.05) NA else exp(f$p[length(f$p)]),
    residual_sd = sqrt(f$cost / f$df), residual_df = f$df,
    wald_se_log10 = wald, wald_low = 10^(log_ratio - t * wald), wald_high = 10^(log_ratio + t * wald),
    wald_p = 2 * pt(-abs(log_ratio) / wald, f$df),
    batches_se_log10 = sandwich, batches_low = 10^(log_ratio - tb * sandwich),
    batches_high = 10^(log_ratio + tb * sandwich), batches_p = batches_p,
    delta_se = delta, delta_low = ratio - t * delta, delta_high = ratio + t * delta,
    delta_p = 2 * pt(-abs(ratio - 1) / delta, f$df)
  )
}

rows <- do.call(rbind, lapply(unique(table$case), row))
rows[-1] <- lapply(rows[-1], signif, digits = 8)
write.csv(rows, row.names = FALSE, quote = FALSE, na = "")
