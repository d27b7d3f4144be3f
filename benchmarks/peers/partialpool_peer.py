"""partialpool: the full posterior, from columns to joint draws of every parameter (what the samplers return too)."""

from protocol import read_task, report_draws, time_fits

import partialpool as pp


def main() -> None:
    task = read_task()

    def fit(seed: int) -> tuple[object, object]:
        posterior = pp.fit(
            task.formula,
            task.data,
            standard_error=task.standard_error or None,
            priors=task.priors,
            seed=seed,
        )
        return posterior, posterior.draws(task.draws)

    seconds, (posterior, draws) = time_fits(fit, task)
    by_chain = {name: draws[name].reshape(1, -1) for name in task.priors}
    effective = getattr(posterior.engine, "effective_draws", None)
    report_draws(task, "partialpool", pp.__version__, seconds, by_chain, engine_effective_draws=effective)


main()
