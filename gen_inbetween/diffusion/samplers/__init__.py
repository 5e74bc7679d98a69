"""Parts of the sampling loops: solvers, orders of steps, guidance, distillation."""
