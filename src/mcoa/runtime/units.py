"""Durations and sizes as people read them; light to import, since `mcoa show` needs it."""


def human_duration(seconds: float) -> str:
    """Return a duration in its two largest units, such as "4m 12s"; "350ms" below a second."""
    sign, whole = "-" if seconds < 0 else "", int(abs(seconds))
    if whole == 0:
        thousandths = int(abs(seconds) * 1000)
        return f"{sign}{thousandths}ms" if thousandths else "0s"
    amounts = (whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60)
    first = next(place for place, amount in enumerate(amounts) if amount)
    two = list(zip(amounts, "dhms", strict=True))[first : first + 2]
    return sign + " ".join(f"{amount}{unit}" for amount, unit in two if amount)


def human_size(octets: int) -> str:
    """Return an amount of data such as "812 B" or "1.5 MiB"."""
    amount, unit = float(octets), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if abs(amount) < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{octets} B" if unit == "B" else f"{amount:.1f} {unit}"
