# R's side of `python -m benchmarks.parity`: DESeq2 (and apeglm where it is installed) on the sets in a folder.
# Rscript parity_counts.R FOLDER: FOLDER/*/ hold counts.tsv (genes x samples), samples.tsv, case.R, maybe normalisation.tsv;
# a table for each test and cpu.txt (seconds of DESeq() and the first results(), one thread) are written beside them.
suppressMessages(library(DESeq2))
has_apeglm <- requireNamespace("apeglm", quietly = TRUE)
write <- function(table, file) write.csv(as.data.frame(table), file, row.names = FALSE)

for (folder in list.dirs(commandArgs(TRUE)[1], recursive = FALSE)) {
  at <- function(name) file.path(folder, name)
  counts <- as.matrix(read.delim(at("counts.tsv"), row.names = 1, check.names = FALSE))
  samples <- read.delim(at("samples.tsv"), row.names = 1, colClasses = c("character"), check.names = FALSE)
  source(at("case.R"), local = TRUE)  # design, numeric, tests
  for (column in names(samples)) {
    if (column %in% numeric) samples[[column]] <- as.numeric(samples[[column]])
    else samples[[column]] <- factor(samples[[column]], unique(samples[[column]]))
  }
  tryCatch({
    dds <- suppressMessages(DESeqDataSetFromMatrix(counts, samples, design))
    if (file.exists(at("normalisation.tsv")))
      normalizationFactors(dds) <- as.matrix(read.delim(at("normalisation.tsv"), row.names = 1, check.names = FALSE))
    began <- proc.time()
    fitted <- suppressMessages(DESeq(dds, quiet = TRUE))
    first <- TRUE
    for (test in tests) {
      if (test$kind == "lrt") {
        ratio <- suppressMessages(DESeq(dds, test = "LRT", reduced = test$reduced, quiet = TRUE))
        table <- results(ratio, alpha = 0.05)
      } else {
        table <- do.call(results, c(list(fitted, alpha = 0.05), test$arguments))
      }
      if (first) cat(sum((proc.time() - began)[1:2]), "\n", file = at("cpu.txt"))
      first <- FALSE
      write(table, at(paste0(test$file, ".csv")))
      if (has_apeglm && test$shrink != "") {
        turned <- fitted
        if (length(test$relevel)) {
          turned[[names(test$relevel)]] <- relevel(turned[[names(test$relevel)]], test$relevel)
          turned <- suppressMessages(nbinomWaldTest(turned, quiet = TRUE))
        }
        shrunken <- suppressMessages(lfcShrink(turned, coef = test$shrink, type = "apeglm", quiet = TRUE))
        write(shrunken, at(paste0(test$file, ".apeglm.csv")))
      }
    }
    write(mcols(fitted)[, c("dispGeneEst", "dispFit", "dispersion")], at("dispersions.csv"))
  }, error = function(e) cat(conditionMessage(e), "\n", file = at("error.txt")))
  cat(basename(folder), "\n")
}
