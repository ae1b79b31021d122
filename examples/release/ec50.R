# Compute an EC50 from the wells of a release bundle, with R alone.
#
#   Rscript ec50.R BUNDLE
#
# Takes the first line, compound and phenotype with a curve in tables/responses.tsv, fits its wells
# anew, and prints both fits: one Hill curve through the means of every batch at every dose,
# weighted by their wells, with a level for each batch.

bundle <- commandArgs(trailingOnly = TRUE)
if (length(bundle) != 1) stop("usage: Rscript ec50.R BUNDLE")

table_of <- function(...) {
  utils::read.delim(file.path(bundle, ...), encoding = "UTF-8", na.strings = "", check.names = FALSE)
}
for (file in list.files(bundle, "[.]tsv$", recursive = TRUE)) {
  size <- dim(table_of(file))
  cat(file, ":", size[1], "rows,", size[2], "columns\n")
}

dictionary <- table_of("dictionaries", "columns.tsv")
percent <- dictionary$column[dictionary$table == "well" & dictionary$compared_as %in% "percent"]
responses <- table_of("tables", "responses.tsv")
theirs <- responses[responses$curve_status == "ok" & responses$phenotype %in% percent, ][1, ]

# Percent of the mean of the plate's vehicle wells of the line.
wells <- table_of("wells.tsv")
wells <- wells[wells$status == "done" & wells$line %in% theirs$line, ]
wells$value <- wells[[theirs$phenotype]]
wells <- wells[is.finite(wells$value), ]
vehicle <- wells[wells$control == "vehicle", ]
treated <- wells[wells$control == "none" & wells$compound %in% theirs$compound, ]
level <- tapply(vehicle$value, vehicle$plate, mean)
treated$percent <- 100 * treated$value / level[treated$plate]
vehicle <- vehicle[vehicle$plate %in% treated$plate, ]
vehicle$percent <- 100
vehicle$dose_molar <- 0
both <- rbind(treated, vehicle[names(treated)])

# Each plate counts once in the mean of its batch, and each well in the mean's weight.
both$wells <- 1
plates <- aggregate(percent ~ plate + batch + dose_molar, both, mean)
points <- aggregate(percent ~ batch + dose_molar, plates, mean)
points <- merge(points, aggregate(wells ~ batch + dose_molar, both, sum))
points$number <- as.integer(factor(points$batch))

fit <- nls(
  percent ~ base[number] + span / (1 + (10^log_ec50 / dose_molar)^exp(log_hill)),
  points,
  start = list(
    base = rep(100, max(points$number)),
    span = points$percent[which.max(points$dose_molar)] - 100,
    log_ec50 = mean(log10(points$dose_molar[points$dose_molar > 0])),
    log_hill = 0
  ),
  weights = wells,
  control = nls.control(maxiter = 200, tol = 1e-6)
)
estimate <- coef(fit)
base <- estimate[startsWith(names(estimate), "base")]
ours <- c(
  ec50_molar = 10^estimate[["log_ec50"]],
  hill = exp(estimate[["log_hill"]]),
  e0 = weighted.mean(base[points$number], points$wells)
)
cat("\n", theirs$line, ", ", theirs$compound, ", ", theirs$phenotype, "\n", sep = "")
print(data.frame(bundle = unlist(theirs[names(ours)]), anew = ours), digits = 10)
