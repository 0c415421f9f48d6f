# Makes the reference of test_moderated_t.py with R's limma: Rscript make_reference.R, beside this file.
# Debian's r-bioc-limma 3.54.1 and r-cran-statmod 1.5.0 made the files that are here.
library(limma)
set.seed(20260721)
n <- 400
donor <- c("a", "a", "b", "b", "c", "c", "d", "e", "f", "f")   # d and e have one sample: the pairing is incomplete
group <- c("ctrl", "drug", "ctrl", "drug", "ctrl", "drug", "ctrl", "drug", "ctrl", "drug")
sd <- sqrt(0.04 * 6 / rchisq(n, 6))
sd[1:8] <- 2.5                                                 # a few genes that vary far more than all others
donors <- matrix(rnorm(n * 6, 0, 1.2), n) * sd
x <- 7 + donors[, match(donor, unique(donor))] + matrix(rnorm(n * 10), n) * sd
x[, 8] <- x[, 8] + rnorm(n) * sd * 2                           # one poor array
x[21:60, group == "drug"] <- x[21:60, group == "drug"] + 0.6
x <- round(x, 4)
colnames(x) <- paste0("s", 1:10)
rownames(x) <- paste0("p", 1:n)
design <- cbind(Intercept = 1, drug = as.numeric(group == "drug"))
top <- function(fit) { f <- fit; data.frame(t = f$t[, "drug"], p = f$p.value[, "drug"], df = f$df.total) }
plain <- eBayes(lmFit(x, design))
robust <- eBayes(lmFit(x, design), robust = TRUE)
corfit <- duplicateCorrelation(x, design, block = donor)
blocked <- eBayes(lmFit(x, design, block = donor, correlation = corfit$consensus.correlation))
both <- eBayes(lmFit(x, design, block = donor, correlation = corfit$consensus.correlation), robust = TRUE)
weights <- arrayWeights(x, design)
weighted <- eBayes(lmFit(x, design, weights = weights))
trended <- eBayes(lmFit(x, design), trend = TRUE, robust = TRUE)
gaps <- x                                                      # the same with values missing, in some probes a whole group's
gaps[(7 * row(x) + 3 * col(x)) %% 9 == 0] <- NA
gaps[101:110, group == "drug"] <- NA
gaps_plain <- eBayes(lmFit(gaps, design))
gaps_trended <- eBayes(lmFit(gaps, design), trend = TRUE, robust = TRUE)
gaps_corfit <- duplicateCorrelation(gaps, design, block = donor)
gaps_blocked <- eBayes(lmFit(gaps, design, block = donor, correlation = gaps_corfit$consensus.correlation))
gaps_weights <- arrayWeights(gaps, design)
gaps_weighted <- eBayes(lmFit(gaps, design, weights = gaps_weights))
out <- data.frame(probe = rownames(x), x)
for (name in c("plain", "robust", "blocked", "both", "weighted", "trended",
               "gaps_plain", "gaps_trended", "gaps_blocked", "gaps_weighted")) {
  found <- top(get(name)); colnames(found) <- paste(name, colnames(found), sep = "_"); out <- cbind(out, found)
}
write.csv(format(out, digits = 12), gzfile("limma_reference.csv.gz"), row.names = FALSE, quote = FALSE)
said <- rbind(
  data.frame(name = "correlation", value = corfit$consensus.correlation),
  data.frame(name = "robust_df_prior", value = max(robust$df.prior)),
  data.frame(name = paste0("weight_", colnames(x)), value = weights),
  data.frame(name = "gaps_correlation", value = gaps_corfit$consensus.correlation),
  data.frame(name = paste0("gaps_weight_", colnames(x)), value = gaps_weights)
)
write.csv(format(said, digits = 12), "limma_numbers.csv", row.names = FALSE, quote = FALSE)
