"""UPI addresses: the deep link that opens a customer's app, which is also the QR code's content."""

from urllib.parse import urlencode

from sandbox.psp.books import Payment


def deep_link(psp: str, payment: Payment) -> str:
    """The `upi://pay` address of a payment (NPCI's linking parameters; the amount in rupees)."""
    major, minor = divmod(payment.amount, 100)
    asked = {
        "pa": f"{psp}@sandbox",
        "pn": "Sandbox shop",
        "tr": payment.id,
        "tn": payment.merchant_ref,
        "am": f"{major}.{minor:02d}",
        "cu": payment.currency,
    }
    return f"upi://pay?{urlencode(asked)}"
