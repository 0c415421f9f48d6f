# R's side of the gene sets in `python -m benchmarks.parity`: fgsea where it is installed, and R's own phyper.
# Rscript parity_gene_sets.R FOLDER: FOLDER/*/ hold stats.tsv (gene, stat, called) and sets.gmt; ranked.csv and over.csv
# are written.
has_fgsea <- requireNamespace("fgsea", quietly = TRUE)
for (folder in list.dirs(commandArgs(TRUE)[1], recursive = FALSE)) {
  at <- function(name) file.path(folder, name)
  table <- read.delim(at("stats.tsv"), colClasses = c("character", "numeric", "logical"))
  lines <- strsplit(readLines(at("sets.gmt")), "\t")
  sets <- setNames(lapply(lines, function(line) line[-(1:2)]), sapply(lines, `[`, 1))
  annotated <- table$gene %in% unlist(sets)
  drawn <- table$gene[annotated & table$called]
  hits <- sapply(sets, function(set) sum(set %in% drawn))
  size <- lengths(sets)
  p <- phyper(hits - 1, size, sum(annotated) - size, length(drawn), lower.tail = FALSE)
  write.csv(data.frame(id = names(sets), p = format(p, digits = 17), padj = format(p.adjust(p, "BH"), digits = 17)),
            at("over.csv"), row.names = FALSE, quote = FALSE)
  if (has_fgsea) {
    stats <- setNames(table$stat, table$gene)[annotated]
    began <- proc.time()
    set.seed(1)
    found <- fgsea::fgsea(sets, stats, minSize = 10, maxSize = 500, eps = 1e-10, nPermSimple = 20000, nproc = 1)
    cat(sum((proc.time() - began)[1:2]), "\n", file = at("cpu.txt"))
    write.csv(data.frame(id = found$pathway, es = found$ES, nes = found$NES, p = found$pval, padj = found$padj,
                         n_leading = lengths(found$leadingEdge)), at("ranked.csv"), row.names = FALSE)
  }
}
