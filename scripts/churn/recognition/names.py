"""Recognise files and columns under other names, by the names and by the content."""

import difflib
import glob
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from churn.data.contract import FILES
from churn.recognition.fields import Layout, count_columns, normal
from churn.recognition.findings import Findings, counted, shown
from churn.recognition.rows import Table

# Other names of the contract's columns in Spanish and English exports, as `simple` writes them.
SYNONYMS = {
    "FECHA": ("fecha pago", "fecha de pago", "date", "payment date", "payment day", "dia", "fecha operacion"),
    "CUS_CUST_ID_SEL": ("seller", "seller id", "vendedor", "id vendedor", "vendedor id", "comercio", "merchant id"),
    "CUS_CUST_ID_BUY": (
        *("user", "user id", "usuario", "id usuario", "usuario id", "cliente", "id cliente", "cliente id"),
        *("customer id", "client id", "buyer", "buyer id", "comprador", "id comprador", "cust id", "id"),
    ),
    "SPENT": ("monto", "importe", "amount", "valor", "total pagado", "monto pagado", "gasto", "price"),
    "TPV_SEGMENT_DETAIL": ("segmento", "segment", "tipo pago", "tipo de pago", "payment type", "categoria", "rubro"),
    "DESCUENTO": ("discount", "descuento aplicado", "dto", "pct descuento", "porcentaje descuento"),
    "MAU_MP_1": ("accesos wallet", "accesos mp", "wallet accesses", "sesiones mp"),
    "MAU_ML_1": ("accesos marketplace", "accesos ml", "marketplace accesses", "sesiones ml"),
    "MAU_ML_2": ("accesos ml anterior", "accesos marketplace anterior", "sesiones ml anterior"),
    "last_login_mp_date_1": ("ultimo login", "ultimo acceso", "last login", "fecha ultimo login", "ultimo ingreso"),
    "AGE": ("edad",),
    "GENDER": ("genero", "sexo", "sex"),
    "CARD_TYPE": ("tarjeta", "tipo tarjeta", "tipo de tarjeta", "card", "card type"),
    "CITY": ("ciudad", "localidad", "town"),
    "PLATA_CUENTA_1": ("saldo", "balance", "saldo maximo", "saldo mes 1", "saldo ultimo mes"),
    "PLATA_CUENTA_2": ("saldo anterior", "saldo mes 2", "saldo mes anterior", "previous balance"),
    "INVERSION": ("estado inversion", "investment", "investment status", "inversiones"),
    "SPENT_ML": ("gasto marketplace", "gasto ml", "monto ml", "marketplace spent"),
    "RECENCY_ML": ("ultima compra", "last purchase", "fecha ultima compra", "recencia"),
    "FREQUENCY_ML": ("frecuencia", "frequency", "dias con compras", "compras ml"),
}
FILE_SYNONYMS = {
    "PAYMENTS.csv": ("pagos", "payments", "transacciones", "transactions"),
    "ACTIVE_USER.csv": ("activeusers", "usuariosactivos", "actividad", "activos"),
    "DEMOGRAFICOS.csv": ("demograficos", "demographics", "demografia"),
    "DINERO_CUENTA.csv": ("dinerocuenta", "saldos", "cuentas", "balances", "dinero"),
    "MARKETPLACE_DATA.csv": ("marketplacedata", "marketplace", "compras"),
}
DATED = re.compile(r"\d{4}[-_.]?\d{2}[-_.]?\d{2}(?:[-_T]?\d{4,6})?|\d{2}[-_.]\d{2}[-_.]\d{4}|\d{6,14}")
TEXT_FILES = (".csv", ".txt", ".tsv")
# The beginnings of names that file managers and office programs leave in a folder.
LEFTOVERS = (".", "~")
SIMILAR = 0.7
# How similar a name must be if its content, and no other column's, fits the type.
ONLY_CANDIDATE = 0.45
FITS = 0.9


def simple(name: str) -> str:
    """Return a name in lower case without accents, with single blanks between words."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return " ".join(re.split(r"[\W_]+", plain.casefold())).strip()


def list_files(folder: Path) -> list[Path]:
    """Return the text files of a folder, packed or not."""
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(LEFTOVERS)]
    return sorted(path for path in files if _bare(path).endswith(TEXT_FILES))


def match_files(folder: Path) -> dict[str, list[Path]]:
    """Return, for each file of the contract, the delivered files that may be it, by their names in any case."""
    delivered = list_files(folder)
    exact = {name: [one for one in delivered if _bare(one) == name.casefold()] for name in FILES}
    taken = {path for paths in exact.values() for path in paths}
    others = [one for one in delivered if one not in taken]
    stems = {one: re.sub(r"[\W\d_]+", "", _bare(one).rpartition(".")[0]) for one in others}
    for name, paths in exact.items():
        if not paths:
            own = re.sub(r"[\W_]+", "", name.casefold().removesuffix(".csv"))
            exact[name] = [one for one in others if stems[one] in (own, *FILE_SYNONYMS[name])]
    return exact


def match_by_header(missing: list[str], layouts: dict[Path, Layout | None]) -> dict[str, Path]:
    """Return which file, of those not matched by name, has the columns of each missing file of the contract."""
    matched: dict[str, Path] = {}
    for name in missing:
        scores = {path: count_columns(one.header, name) / len(FILES[name]) for path, one in layouts.items() if one}
        best = [path for path, score in scores.items() if score > 0.5 and score == max(scores.values())]
        if len(best) == 1 and best[0] not in matched.values():
            matched[name] = best[0]
    return matched


def name_pattern(path: Path, folder: Path) -> str:
    """Return the name of a delivered file with * for its date, or its whole name if others match the pattern too."""
    name = path.name[: -len(".gz")] if path.name.casefold().endswith(".gz") else path.name
    # In a pattern, brackets have a meaning of their own.
    pattern = re.sub(r"\*+", "*", "*".join(map(glob.escape, DATED.split(name))))
    matching = [one for one in list_files(folder) if fnmatchcase(_bare(one), pattern.casefold())]
    return pattern if len(matching) == 1 else glob.escape(name)


def find_columns(
    file: str, table: Table, fits: Callable[[str, Counter[str]], float], found: Findings
) -> dict[str, str]:
    """Return the delivered name of each column that has another, and add them to `found`.

    Parameters
    ----------
    fits : callable
        Returns which share of values (0 to 1) can be read as a column of the contract.
    """
    missing = [column for column in FILES[file] if column not in table.values]
    pairs = []
    for column in missing:
        for name, counts in table.extra.items():
            share = fits(column, counts)
            if share >= FITS:
                pairs.append((_similarity(column, name), column, name, share))
    renamed: dict[str, str] = {}
    shares: dict[str, float] = {}
    for score, column, name, share in sorted(pairs, reverse=True):
        if column in renamed or name in renamed.values():
            continue
        rivals = [one for one in pairs if one[1] == column and one[2] not in renamed.values()]
        if score >= (ONLY_CANDIDATE if len(rivals) == 1 and len(missing) == 1 else SIMILAR):
            renamed[column], shares[column] = name, share
    for column in missing:
        if column in renamed:
            name = shown(renamed[column])
            evidence = f"There is no {column}; {shares[column]:.0%} of the values of {name} in"
            evidence += f" {counted(table.rows, 'row')} fit it"
            found.add(("columns", column), renamed[column], evidence, False, f"{name} is another column")
    if lost := [column for column in missing if column not in renamed]:
        others = [name for name in table.extra if name not in renamed.values()]
        found.questions.append(
            f"{file}: there is no {', '.join(lost)}. Which of its other columns are they: "
            f"{', '.join(map(shown, others)) or 'there are no others'}?"
        )
    return renamed


def note_header(file: str, layout: Layout, found: Findings) -> None:
    """Add what is different in the header, but is read without a mapping; ask about repeated columns."""
    contract = {normal(column): column for column in FILES[file]}
    known = [name for name in layout.header if normal(name) in contract]
    if odd := [name for name in known if name not in FILES[file]]:
        found.notes.append(f"{shown(odd[0])} in the header is read as {contract[normal(odd[0])]}")
    times = Counter(map(normal, known))
    if twice := [contract[name] for name, number in times.items() if number > 1]:
        found.questions.append(f"{file} has the column {', '.join(twice)} more than once: remove one of them.")


def _bare(path: Path) -> str:
    return path.name.casefold().removesuffix(".gz")


def _similarity(column: str, name: str) -> float:
    own, other = simple(column), simple(name)
    if other in SYNONYMS[column]:
        return 0.95
    return difflib.SequenceMatcher(None, own, other).ratio()
