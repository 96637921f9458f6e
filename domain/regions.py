"""India's states in GST's numbering, and the sub-regions of PIN codes that lie in them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

OTHER_TERRITORY = "97"

STATES: Mapping[str, str] = MappingProxyType(
    {
        "01": "Jammu and Kashmir",
        "02": "Himachal Pradesh",
        "03": "Punjab",
        "04": "Chandigarh",
        "05": "Uttarakhand",
        "06": "Haryana",
        "07": "Delhi",
        "08": "Rajasthan",
        "09": "Uttar Pradesh",
        "10": "Bihar",
        "11": "Sikkim",
        "12": "Arunachal Pradesh",
        "13": "Nagaland",
        "14": "Manipur",
        "15": "Mizoram",
        "16": "Tripura",
        "17": "Meghalaya",
        "18": "Assam",
        "19": "West Bengal",
        "20": "Jharkhand",
        "21": "Odisha",
        "22": "Chhattisgarh",
        "23": "Madhya Pradesh",
        "24": "Gujarat",
        "26": "Dadra and Nagar Haveli and Daman and Diu",
        "27": "Maharashtra",
        "29": "Karnataka",
        "30": "Goa",
        "31": "Lakshadweep",
        "32": "Kerala",
        "33": "Tamil Nadu",
        "34": "Puducherry",
        "35": "Andaman and Nicobar Islands",
        "36": "Telangana",
        "37": "Andhra Pradesh",
        "38": "Ladakh",
        OTHER_TERRITORY: "Other territory",
    }
)

# state → prefixes of its PIN codes; the longest prefix wins, so an enclave is a longer row.
# Where two states share a sub-region post office by post office, the larger one has the prefix.
_PREFIXES_BY_STATE: Mapping[str, str] = {
    "01": "18 19",
    "02": "17",
    "03": "14 15 16",
    "04": "160",
    "05": "2447 246 2476 248 249 2625 263",
    "06": "12 13",
    "07": "11",
    "08": "30 31 32 33 34",
    "09": "20 21 22 23 24 25 26 27 28 2467",
    "10": "80 81 82 84 85",
    "11": "737",
    "12": "790 791 792",
    "13": "797 798",
    "14": "795",
    "15": "796",
    "16": "799",
    "17": "793 794",
    "18": "78",
    "19": "70 71 72 73 74",
    "20": "814 815 816 822 825 826 827 828 829 83",
    "21": "75 76 77",
    "22": "49",
    "23": "45 46 47 48",
    "24": "36 37 38 39",
    # Diu, Daman, Dadra and Nagar Haveli lie inside Gujarat's sub-regions
    "26": "362520 362540 362570 396193 396210 396215 396220 396230 396235 396240",
    "27": "40 41 42 43 44",
    "29": "56 57 58 59",
    "30": "403",
    "31": "68255",
    "32": "67 68 69",
    "33": "60 61 62 63 64",
    # Puducherry town, Karaikal, Mahe and Yanam lie inside three other states
    "34": "6050 60960 673310 533464",
    "35": "744",
    "36": "50",
    "37": "51 52 53",
    "38": "194",
    # army post offices lie in no state, so every supply to them is inter-state
    OTHER_TERRITORY: "9",
}

STATE_BY_PREFIX: Mapping[str, str] = MappingProxyType(
    {prefix: state for state, prefixes in _PREFIXES_BY_STATE.items() for prefix in prefixes.split()}
)
