"""Where customers live: cities across India with a PIN code of each."""

from typing import Final

PLACES: Final = (
    ("New Delhi", "110001"), ("Mumbai", "400001"), ("Bengaluru", "560001"), ("Chennai", "600001"),
    ("Kolkata", "700001"), ("Hyderabad", "500001"), ("Ahmedabad", "380001"), ("Pune", "411001"),
    ("Jaipur", "302001"), ("Lucknow", "226001"), ("Nagpur", "440001"), ("Indore", "452001"),
    ("Bhopal", "462001"), ("Patna", "800001"), ("Vadodara", "390001"), ("Coimbatore", "641001"),
    ("Kochi", "682001"), ("Thiruvananthapuram", "695001"), ("Guwahati", "781001"),
    ("Bhubaneswar", "751001"), ("Ranchi", "834001"), ("Chandigarh", "160017"),
    ("Dehradun", "248001"), ("Shimla", "171001"), ("Srinagar", "190001"), ("Panaji", "403001"),
    ("Shillong", "793001"), ("Agartala", "799001"), ("Puducherry", "605001"),
    ("Vijayawada", "520001"), ("Madurai", "625001"), ("Raipur", "492001"),
)  # fmt: skip
