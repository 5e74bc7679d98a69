"""The harness: frozen lists of pairs, methods run over them, scores, intervals and a report."""
