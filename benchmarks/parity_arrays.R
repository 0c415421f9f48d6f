# R's side of the arrays in `python -m benchmarks.parity`: limma on the sets in a folder.
# Rscript parity_arrays.R FOLDER: FOLDER/*/ hold values.tsv (genes x samples), design.tsv, case.R; t.csv is written.
suppressMessages(library(limma))

for (folder in list.dirs(commandArgs(TRUE)[1], recursive = FALSE)) {
  at <- function(name) file.path(folder, name)
  values <- as.matrix(read.delim(at("values.tsv"), row.names = 1))
  design <- as.matrix(read.delim(at("design.tsv"), row.names = 1))
  source(at("case.R"), local = TRUE)  # contrast, tested (columns of the F test), block, weigh, trend, robust, threshold
  began <- proc.time()
  suppressWarnings({
    weights <- if (weigh) arrayWeights(values, design)
    correlation <- if (!is.null(block)) {
      if (is.null(weights)) duplicateCorrelation(values, design, block = block)$consensus.correlation
      else duplicateCorrelation(values, design, block = block, weights = weights)$consensus.correlation
    }
    fit <- if (is.null(block)) lmFit(values, design, weights = weights)
           else lmFit(values, design, weights = weights, block = block, correlation = correlation)
    if (sum(contrast != 0) > 1) fit <- contrasts.fit(fit, matrix(contrast, ncol = 1))
    at_coefficient <- if (sum(contrast != 0) > 1) 1 else which(contrast != 0)
    if (threshold > 0) {
      tested_fit <- treat(fit, lfc = threshold, trend = trend, robust = robust)
    } else {
      tested_fit <- eBayes(fit, trend = trend, robust = robust)
    }
  })
  out <- data.frame(
    change = tested_fit$coefficients[, at_coefficient], t = tested_fit$t[, at_coefficient],
    p = tested_fit$p.value[, at_coefficient]
  )
  if (length(tested)) {
    together <- topTable(tested_fit, coef = tested, number = Inf, sort.by = "none")
    out$t <- together$F
    out$p <- together$P.Value
  }
  out$padj <- p.adjust(out$p, "BH")
  write.csv(out, at("t.csv"), row.names = FALSE)
  cat(sum((proc.time() - began)[1:2]), "\n", file = at("cpu.txt"))
}
