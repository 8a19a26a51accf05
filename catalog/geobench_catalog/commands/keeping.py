"""tag, alias, verify, rm, gc: names, proof, and taking away."""

import click

from geobench_catalog.commands import documents, tables
from geobench_catalog.commands.one_line import tell
from geobench_catalog.commands.options import here, json_option, reference_argument
from geobench_catalog.errors import CatalogError, told


@click.command()
@reference_argument("reference")
@click.argument("tags", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Remove the tags.")
@json_option
def tag(reference: str, tags: tuple[str, ...], *, remove: bool, as_json: bool) -> None:
    """Mark an entry with words by which it can be found.

    For example: geobench catalog tag KIND/NAME@1 good, and then query 'tag = good'.
    """
    catalog = here()
    entry = catalog.get(reference)
    with told(catalog.url):
        for tag in tags:
            if remove:
                catalog.names.untag(entry.reference, tag)
            else:
                catalog.tag(str(entry.reference), tag)
    left = catalog.names.tags().get(entry.reference, [])
    if as_json:
        documents.show({"reference": str(entry.reference), "tags": left})
        return
    click.echo(f"{entry.reference}  {', '.join(left) or '–'}")


@click.command()
@reference_argument("reference")
@click.argument("name", required=False)
@click.option(
    "--move", is_flag=True, help="Move the alias from the version that it stands for now."
)
@click.option("--remove", is_flag=True, help="Remove the alias KIND/NAME@ALIAS.")
@json_option
def alias(reference: str, name: str | None, *, move: bool, remove: bool, as_json: bool) -> None:
    """Give an entry another name, which can be moved.

    For example: after geobench catalog alias KIND/NAME@3 paper, KIND/NAME@paper stands for
    KIND/NAME@3.

    Wherever a reference is read, the alias can be written. What is made from it records the version
    that the alias stood for.
    """
    from geobench_catalog.reference_files import alias_of

    catalog = here()
    if remove:
        removed = alias_of(reference)
        if removed is None or name is not None:
            raise CatalogError(f"'{reference}' is no alias. Write --remove KIND/NAME@ALIAS.")
        with told(catalog.url):
            catalog.names.forget(removed)
        _tell_alias(str(removed), None, as_json=as_json)
        return
    if name is None:
        raise CatalogError("name the alias: geobench catalog alias REFERENCE NAME.")
    made = catalog.alias(reference, name, move=move)
    _tell_alias(str(made), str(catalog.resolve(str(made))), as_json=as_json)


def _tell_alias(alias: str, reference: str | None, *, as_json: bool) -> None:
    if as_json:
        documents.show({"alias": alias, "reference": reference})
    else:
        click.echo(f"{alias} stands for {reference}" if reference else f"{alias} is removed")


@click.command()
@reference_argument("references", nargs=-1, required=True)
@click.option("--alone", is_flag=True, help="Do not trust what they were made from.")
@click.option("--remove", is_flag=True, help="Withdraw the trust, from these entries alone.")
@json_option
def trust(references: tuple[str, ...], *, alone: bool, remove: bool, as_json: bool) -> None:
    """Let imported entries count as if they were made here.

    All that they were made from is trusted, too, unless --alone is given. Until then they are shown
    as imported, and no step uses them in place of its own work. Trust only what you would have
    computed the same way: what is made from a wrong number is wrong, too.

    For example: geobench catalog trust KIND/NAME@1
    """
    catalog = here()
    changed: list[str] = []
    for reference in references:
        if remove:
            if catalog.distrust(reference):
                changed.append(str(catalog.resolve(reference)))
        else:
            changed += [str(entry.reference) for entry in catalog.trust(reference, alone=alone)]
    if as_json:
        documents.show({"trusted": not remove, "changed": changed})
        return
    for name in changed:
        click.echo(f"{'not trusted' if remove else 'trusted'}  {name}")
    if not changed:
        click.echo(
            "nothing changed: none of them is imported and " + ("" if remove else "un") + "trusted"
        )


@click.command()
@reference_argument("references", nargs=-1)
@json_option
def verify(references: tuple[str, ...], *, as_json: bool) -> None:
    """Prove that entries are what was published (all of them).

    Every file is read and compared with its digest. Records, keys, lineage, aliases and tags are
    checked.
    Exits with code 1 if anything is wrong.
    """
    from geobench_catalog import verification

    findings = []
    for finding in verification.verify(here(), references):
        findings.append(finding)
        if not as_json:
            for problem in finding.problems:
                click.echo(click.style("damaged  ", fg="red", bold=True) + problem)
            if not finding.problems:
                detail = (
                    f"  {finding.files} files, {tables.size(finding.size)}" if finding.files else ""
                )
                click.echo(f"ok       {finding.owner}{detail}")
    bad = sum(bool(finding.problems) for finding in findings)
    if as_json:
        documents.show([finding._asdict() for finding in findings])
    else:
        entries = [finding for finding in findings if finding.owner != "names"]
        size = tables.size(sum(finding.size for finding in entries))
        what = "entry" if len(entries) == 1 else "entries"
        click.echo(f"{len(entries)} {what}, {size}: {f'{bad} damaged' if bad else 'all well'}")
    raise click.exceptions.Exit(1 if bad else 0)


@click.command("name")
@click.argument("entry_id", metavar="ID")
@click.argument("reference", required=False)
@json_option
def name_again(entry_id: str, reference: str | None, *, as_json: bool) -> None:
    """Give an entry whose reference file was lost a reference again.

    ID is the beginning of its id; 'geobench catalog verify' lists those without a reference.
    By default it gets the reference that entries made from it record. If that is taken, it gets the
    next version of its name.

    For example: geobench catalog name 3f9a4c KIND/NAME@1
    """
    from geobench_catalog.references import Reference
    from geobench_catalog.unnamed import name_again as give

    given = give(here(), entry_id, Reference.parse(reference) if reference else None)
    if as_json:
        documents.show({"reference": str(given)})
    else:
        click.echo(given)


@click.command("rm")
@reference_argument("references", nargs=-1, required=True)
@click.option("--cascade", is_flag=True, help="Also remove all that was made from them.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def remove(
    references: tuple[str, ...], *, cascade: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Remove entries for good.

    Refused while something was made from them, or an alias names them. The version of a removed
    entry is never given again.

    For example: geobench catalog rm KIND/NAME@1 --cascade --dry-run
    """
    from geobench_catalog import removal

    catalog = here()
    planned = removal.plan(catalog, references, cascade=cascade)
    for reference in planned:
        line = f"{'would remove' if dry_run else 'remove'}  {reference}"
        click.echo(line, err=as_json)
    if not dry_run:
        if not yes and not click.confirm(f"Remove {len(planned)} entries for good?", err=True):
            raise CatalogError("nothing was removed.")
        removal.remove(catalog, references, cascade=cascade)
    if as_json:
        documents.show({"removed": [str(reference) for reference in planned], "dry_run": dry_run})


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="HOURS",
    help="Keep what is younger; default: 0 in a folder, 24 on an object store.",
)
@click.option("--unnamed", is_flag=True, help="Also remove whole entries whose reference was lost.")
@json_option
def collect(older_than: float | None, *, dry_run: bool, unnamed: bool, as_json: bool) -> None:
    """Remove what processes that died have left.

    That is: unfinished drafts, entries that were never named, tags of missing entries.
    A whole entry whose reference file was lost is kept and named on stderr: 'geobench catalog name'
    gives it a reference again.
    """
    from geobench_catalog import removal
    from geobench_catalog.unnamed import unnamed as whole_without_name

    hours = None if older_than is None else 3600 * older_than
    catalog = here()
    debris = list(removal.collect(catalog, older_than=hours, dry_run=dry_run, unnamed=unnamed))
    for entry in () if unnamed else whole_without_name(catalog):
        tell(CatalogError(f"kept: {entry}."))
    if as_json:
        pieces = [{"piece": what, "bytes": size} for what, size in debris]
        documents.show({"removed": pieces, "dry_run": dry_run})
        return
    for what, size in debris:
        click.echo(f"{'would remove' if dry_run else 'removed'}  {what}  {tables.size(size)}")
    what = "piece" if len(debris) == 1 else "pieces"
    click.echo(f"{len(debris)} {what} of debris, {tables.size(sum(size for _, size in debris))}")
