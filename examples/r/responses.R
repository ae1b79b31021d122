# Response table and plate control of one run of the service, in R.
#
#   IMAGING_SERVICE_KEY=mns_… Rscript responses.R http://127.0.0.1:8765 RUN
#
# Base R reads CSV. With the package `arrow` the same tables come with their types, and faster.

arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 2) stop("usage: Rscript responses.R ADDRESS RUN")
address <- arguments[1]
run <- arguments[2]
key <- Sys.getenv("IMAGING_SERVICE_KEY")
if (key == "") stop("set IMAGING_SERVICE_KEY to a key of the service")
authorization <- c(Authorization = paste("Bearer", key))

# A table of the run. `query` chooses rows and columns: "where=status==ok&columns=line,compound".
table_of <- function(name, query = "") {
  place <- paste0(address, "/runs/", run, "/tables/", name, "?", utils::URLencode(query))
  if (requireNamespace("arrow", quietly = TRUE)) {
    file <- tempfile(fileext = ".arrow")
    on.exit(unlink(file))
    utils::download.file(paste0(place, "&format=arrow"), file,
      mode = "wb", quiet = TRUE, headers = authorization)
    return(as.data.frame(arrow::read_ipc_stream(file)))
  }
  # 10,000 rows are the largest page of CSV; the file begins with a byte order mark.
  csv <- url(paste0(place, "&format=csv&limit=10000"),
    headers = authorization, encoding = "UTF-8-BOM")
  utils::read.csv(csv, na.strings = "")
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
