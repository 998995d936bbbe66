"""Java class paths, resolved by Maven into the cache."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from infra.provision import building, cache
from infra.provision.progress import Reporter
from infra.versions import versions

_INFRA = Path(__file__).parents[1]
_DOWNLOADED = re.compile(r"^(?:\[INFO\] )?Downloaded from \S+ \S+/([^/\s]+\.jar)\b")
_COPIED = re.compile(r"^\[INFO\] Copying (\S+\.jar) to ")


def kafka_folder(cache_dir: Path) -> Path:
    """Where the broker's jars lie."""
    return cache_dir / f"kafka-{versions().kafka.version}" / "lib"


def flink_folder(cache_dir: Path) -> Path:
    """Where Flink's and the job server's jars lie."""
    flink = versions().flink
    return cache_dir / f"flink-{flink.version}-beam-{flink.beam_runner}" / "lib"


def kafka_recipe() -> str:
    """What decides the broker's class path."""
    return _recipe(_kafka_pom(), _kafka_properties())


def flink_recipe() -> str:
    """What decides Flink's class path."""
    return _recipe(_flink_pom(), _flink_properties())


def resolve_kafka(cache_dir: Path, maven: Path, java: Path, reporter: Reporter) -> Path:
    """Return the folder of the broker's jars, resolved first if need be. Raises Unavailable."""
    folder = kafka_folder(cache_dir)
    title = f"Kafka {versions().kafka.version}"
    return _resolve(folder, title, _kafka_pom(), _kafka_properties(), maven, java, reporter)


def resolve_flink(cache_dir: Path, maven: Path, java: Path, reporter: Reporter) -> Path:
    """Return the folder of Flink's jars, resolved first if need be. Raises Unavailable."""
    folder = flink_folder(cache_dir)
    flink = versions().flink
    title = f"Flink {flink.version} with Beam's runner {flink.beam_runner}"
    return _resolve(folder, title, _flink_pom(), _flink_properties(), maven, java, reporter)


def _resolve(
    folder: Path,
    title: str,
    pom: Path,
    properties: Mapping[str, str],
    maven: Path,
    java: Path,
    reporter: Reporter,
) -> Path:
    plugin = versions().maven.dependency_plugin

    def build(target: Path) -> None:
        seen = {"downloaded": 0, "copied": 0}

        with reporter.step(f"Resolving {title}") as tick:

            def on_line(line: str) -> None:
                if _DOWNLOADED.match(line):
                    seen["downloaded"] += 1
                elif _COPIED.match(line):
                    seen["copied"] += 1
                else:
                    return
                tick(f"{seen['downloaded']} jars downloaded, {seen['copied']} in place")

            building.run(
                [
                    str(maven),
                    "--batch-mode",
                    "-Dstyle.color=never",
                    f"--file={pom}",
                    *(f"-D{name}={value}" for name, value in properties.items()),
                    f"org.apache.maven.plugins:maven-dependency-plugin:{plugin}:copy-dependencies",
                    "-DincludeScope=runtime",
                    f"-DoutputDirectory={target}",
                ],
                what=f"Resolving {title} with Maven",
                cwd=target,
                environment={"JAVA_HOME": str(java.parents[1])},
                on_line=on_line,
            )

    return cache.complete(folder, _recipe(pom, properties), build)


def _recipe(pom: Path, properties: Mapping[str, str]) -> str:
    return f"{pom.read_text('utf-8')}\n{sorted(properties.items())}"


def _kafka_pom() -> Path:
    return _INFRA / "kafka" / "pom.xml"


def _flink_pom() -> Path:
    return _INFRA / "flink" / "pom.xml"


def _kafka_properties() -> dict[str, str]:
    return {
        "kafka.version": versions().kafka.version,
        "log4j.version": versions().logging.log4j,
    }


def _flink_properties() -> dict[str, str]:
    flink = versions().flink
    return {
        "flink.version": flink.version,
        "flink.minor": flink.minor,
        "beam.runner.version": flink.beam_runner,
        "beam.job.service.version": flink.beam_job_service,
        "frocksdb.version": flink.frocksdb,
        "log4j.version": versions().logging.log4j,
    }
