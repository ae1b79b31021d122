# Response table and plate control of one run of the service, with R alone.
#
#   IMAGING_SERVICE_KEY=mns_… Rscript responses.R http://127.0.0.1:8765 RUN
#
# A service without keys leaves its user a token in its data folder, secrets/local.token.

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 2) stop("usage: Rscript responses.R ADDRESS RUN")
address <- arguments[1]
run <- arguments[2]
key <- Sys.getenv("IMAGING_SERVICE_KEY")
if (key == "") stop("set IMAGING_SERVICE_KEY to a key of the service")
authorization <- c(Authorization = paste("Bearer", key))

# Names that a laboratory gives are text, also where R would read a number or TRUE: 007, 1e5, T.
given_names <- c("line", "genotype", "compound", "batch", "subject")
largest_page <- 10000

# A table of the run. `query` chooses rows and columns: "where=status==ok&columns=line,compound".
table_of <- function(name, query = "") {
  place <- paste0(address, "/runs/", run, "/tables/", name, "?", utils::URLencode(query))
  csv <- url(paste0(place, "&format=csv&limit=", largest_page), headers = authorization)
  on.exit(close(csv))
  # Lines of UTF-8, whatever the locale: in that of a container or a cluster's job R would stop
  # at the first µ, and leave the rows after it away.
  lines <- readLines(csv, encoding = "UTF-8", warn = FALSE)
  lines[1] <- sub("^\ufeff", "", lines[1])
  header <- strsplit(lines[1], ",")[[1]]
  rows <- utils::read.csv(
    text = lines, encoding = "UTF-8", na.strings = "", check.names = FALSE,
    colClasses = ifelse(header %in% given_names, "character", NA)
  )
  if (nrow(rows) == largest_page) return(whole_table(place))
  for (column in names(rows)) {
    values <- rows[[column]]
    if (column %in% given_names) {
      # The service puts an apostrophe before what a spreadsheet would run as a formula.
      rows[[column]] <- sub("^'([-=+@\t\r])", "\\1", values)
    } else if (is.character(values) && all(values %in% c("true", "false", NA))) {
      rows[[column]] <- values == "true"
    }
  }
  rows
}

# More rows than one page of CSV has: as an Arrow stream, for which R needs the package `arrow`.
# These lines were not run yet: the tests have base R alone. Compare the number of rows.
whole_table <- function(place) {
  if (!requireNamespace("arrow", quietly = TRUE)) {
    stop("the table has ", largest_page, " rows or more: ask for a part of it, such as ",
      "where=well==B03, or install the package arrow")
  }
  file <- tempfile(fileext = ".arrow")
  on.exit(unlink(file))
  utils::download.file(paste0(place, "&format=arrow"), file,
    mode = "wb", quiet = TRUE, headers = authorization)
  as.data.frame(arrow::read_ipc_stream(file))
}

responses <- table_of("responses")
cat(nrow(responses), "rows: line x compound x phenotype\n\n")

# A row without a number has a status and a reason: never drop it unseen.
print(table(status = responses$status))

curves <- table_of("responses", "where=status==ok")
if (nrow(curves) > 0) {
  # EC50 and its 95 % interval in nM, the most potent first; an open end is NA.
  nanomolar <- data.frame(
    line = curves$line,
    compound = curves$compound,
    phenotype = curves$phenotype,
    ec50 = signif(1e9 * curves$ec50_molar, 3),
    low = signif(1e9 * curves$ec50_low, 3),
    high = signif(1e9 * curves$ec50_high, 3)
  )
  print(nanomolar[order(nanomolar$ec50), ], row.names = FALSE)
}

quality <- table_of("quality", "columns=line,phenotype,z_prime,ssmd")
print(quality, row.names = FALSE)
