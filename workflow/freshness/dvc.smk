"""Run the stages of any DVC repository in parallel: `snakemake -s .../dvc.smk --cores N [STAGE ...]`."""

import sys
from importlib import import_module
from pathlib import Path

package = Path(workflow.basedir)
sys.path.append(str(package.parent))

fresh = import_module(package.name).AllStages(workflow)


wildcard_constraints:
    name="[^/]+",


for target, stamps in fresh.targets.items():

    rule:
        name:
            target
        input:
            stamps,


rule:
    name:
        "freshness.stage"
    input:
        fresh.stage("{name}"),
    output:
        fresh.stamp("{name}"),
    log:
        fresh.log("{name}"),
    threads: fresh.threads
    resources:
        **fresh.resources,
    params:
        name=fresh.name,
    shell:
        "{fresh.command} stage {params.name:q} > {log:q} 2>&1"


onsuccess:
    fresh.print_summary()
