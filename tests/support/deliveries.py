"""Make a small delivery of five files, to write it as real exports are written."""

from datetime import date, timedelta
from pathlib import Path

USERS, FIRST = 60, date(2026, 1, 1)
Files = dict[str, list[list[str]]]


def make_files(days: int = 80) -> Files:
    """Return the rows of five files, each with its header."""
    ids = [str(1000 + 7 * number) for number in range(USERS)]
    dates = [str(FIRST + timedelta(days=number)) for number in range(days)]
    amounts = [f"{number * 17 % 900 + 3}.{number * 13 % 100:02}" for number in range(USERS * 5)]
    kinds, cards, cities = ["Instore", "TopUps", "Transport"], ["GOLD", "BLACK"], ["Salta", "Cordoba", "Mar del Plata"]
    states = ["Investing", "Eligible", "Warmup", "Pending"]
    files: Files = {
        "PAYMENTS": [["FECHA", "CUS_CUST_ID_SEL", "CUS_CUST_ID_BUY", "SPENT", "TPV_SEGMENT_DETAIL", "DESCUENTO"]],
        "ACTIVE_USER": [["CUS_CUST_ID_BUY", "MAU_MP_1", "MAU_ML_1", "MAU_ML_2", "last_login_mp_date_1"]],
        "DEMOGRAFICOS": [["CUS_CUST_ID_BUY", "AGE", "GENDER", "CARD_TYPE", "CITY"]],
        "DINERO_CUENTA": [["CUS_CUST_ID_BUY", "PLATA_CUENTA_1", "PLATA_CUENTA_2", "INVERSION"]],
        "MARKETPLACE_DATA": [["CUS_CUST_ID_BUY", "SPENT_ML", "RECENCY_ML", "FREQUENCY_ML"]],
    }
    for number, amount in enumerate(amounts):
        user, day = ids[number % USERS], dates[number * len(dates) // len(amounts)]
        files["PAYMENTS"].append([day, f"S_{number % 9}", user, amount, kinds[number % 3], f"0.{number % 4 * 5:02}"])
    for number, user in enumerate(ids):
        day, amount = dates[number % len(dates)], amounts[number]
        files["ACTIVE_USER"].append([user, str(number % 9), str(number % 7), str(number % 5), day])
        files["DEMOGRAFICOS"].append([user, str(20 + number), "FM"[number % 2], cards[number % 2], cities[number % 3]])
        files["DINERO_CUENTA"].append([user, amount, amounts[-number - 1], states[number % 4]])
        files["MARKETPLACE_DATA"].append([user, amounts[2 * number], day, str(number % 6)])
    return files


def write_files(folder: Path, files: Files, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """Write the files and return their folder; a field with the delimiter gets quotes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        quoted = [[f'"{cell}"' if delimiter in cell else cell for cell in row] for row in rows]
        text = "".join(delimiter.join(row) + "\n" for row in quoted)
        (folder / (name if "." in name else f"{name}.csv")).write_bytes(text.encode(encoding))
    return folder


def change(files: Files, name: str, column: str, how) -> None:
    """Replace each value of a column by what `how` returns for the number of its row (from 0) and the value."""
    rows = files[name]
    place = rows[0].index(column)
    for number, row in enumerate(rows[1:]):
        row[place] = how(number, row[place])
