# Makes counts.csv.gz and samples.csv (made-up reads) and reference.csv.gz (what DESeq2 says of them).
# Run in this folder: Rscript make_reference.R
suppressPackageStartupMessages(library(DESeq2))
set.seed(11)
n <- 400
samples <- data.frame(
  row.names = sprintf("s%02d", 1:24),
  genotype = factor(rep(c("WT", "het", "KO"), each = 8), levels = c("WT", "het", "KO")),
  drug = factor(rep(c("vehicle", "drug"), 12), levels = c("vehicle", "drug")),
  age = c(34, 51, 47, 60, 38, 55, 62, 49, 71, 44, 66, 58, 73, 69, 50, 41, 36, 64, 57, 45, 68, 39, 53, 61)
)
mean <- matrix(rlnorm(n, 5, 1.3), n, 24) * rep(runif(24, 0.7, 1.4), each = n)
with(samples, {
  mean[1:60, ] <<- mean[1:60, ] * 2^(0.05 * rep(age - 50, each = 60))
  mean[41:100, ] <<- mean[41:100, ] * 2^(1.2 * rep(drug == "drug", each = 60))
  mean[81:130, ] <<- mean[81:130, ] * 2^(1.5 * rep(genotype == "KO" & drug == "drug", each = 50))
  mean[101:150, ] <<- mean[101:150, ] * 2^(0.06 * rep((age - 50) * (drug == "drug"), each = 50))
})
counts <- matrix(rnbinom(n * 24, mu = mean, size = 1 / (0.05 + 2 / pmax(rowMeans(mean), 1))), n, 24)
counts[391:395, ] <- 0L
counts[7, 3] <- 60000L
dimnames(counts) <- list(sprintf("gene%03d", 1:n), rownames(samples))
fit <- function(design, ...) DESeq(DESeqDataSetFromMatrix(counts, samples, design), quiet = TRUE, ...)
additive <- fit(~ genotype + drug + age)
crossed <- fit(~ genotype + drug + age + drug:age)
product <- fit(~ genotype + drug + genotype:drug)
whole <- fit(~ genotype + drug + genotype:drug, test = "LRT", reduced = ~ genotype + drug)
tests <- list(
  slope = results(additive, alpha = 0.05, name = "age"),
  slope_within = results(crossed, alpha = 0.05, contrast = list(c("age", "drugdrug.age"))),
  slope_differs = results(crossed, alpha = 0.05, name = "drugdrug.age"),
  effect_within = results(product, alpha = 0.05, contrast = list(c("drug_drug_vs_vehicle", "genotypeKO.drugdrug"))),
  interaction = results(product, alpha = 0.05, name = "genotypeKO.drugdrug"),
  whole = results(whole, alpha = 0.05, name = "genotypeKO.drugdrug")
)
reference <- do.call(rbind, lapply(names(tests), function(name) {
  table <- as.data.frame(tests[[name]])[c("log2FoldChange", "lfcSE", "pvalue", "padj")]
  data.frame(test = name, gene_id = rownames(counts), signif(table, 7), row.names = NULL)
}))
write_gz <- function(table, path) {
  file <- gzfile(path, "w")
  write.csv(table, file, row.names = FALSE, quote = FALSE)
  close(file)
}
write_gz(data.frame(gene_id = rownames(counts), counts), "counts.csv.gz")
write.csv(data.frame(sample = rownames(samples), samples), "samples.csv", row.names = FALSE, quote = FALSE)
write_gz(reference, "reference.csv.gz")
cat(R.version.string, "DESeq2", as.character(packageVersion("DESeq2")), "\n")
