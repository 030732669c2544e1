"""What the demonstration company's rows are made of: places, products, names, shares, seasons.

All names, companies and carriers are invented; e-mail addresses end in the reserved domains of RFC 2606.
"""

from __future__ import annotations

REGIONS = ("North", "South", "East", "West", "Central")

CITIES = {
    "North": (("Chicago", 312), ("Minneapolis", 612), ("Detroit", 313), ("Milwaukee", 414)),
    "South": (("Houston", 713), ("Atlanta", 404), ("Miami", 305), ("Dallas", 214)),
    "East": (("New York", 212), ("Boston", 617), ("Philadelphia", 215), ("Baltimore", 410)),
    "West": (("Los Angeles", 213), ("San Francisco", 415), ("Seattle", 206), ("Portland", 503)),
    "Central": (("Denver", 303), ("Kansas City", 816), ("St. Louis", 314), ("Omaha", 402)),
}
"City and telephone area code, the largest first; the numbers will be the fictional 555-01xx."

REGION_SHARE = (0.18, 0.19, 0.27, 0.24, 0.12)

MONTH = (0.80, 0.78, 0.92, 0.97, 1.02, 1.00, 0.94, 0.96, 0.98, 1.06, 1.38, 1.74)
WEEKDAY = (0.88, 0.86, 0.90, 0.97, 1.16, 1.36, 1.08)
GROWTH = 1.15
"Orders of a year against the year before."

_EVEN = (1.0,) * 12

CATEGORIES: dict[str, tuple[tuple[float, ...], dict[str, int]]] = {
    "Kitchen": (
        _EVEN,
        {"Chef Knife": 39, "Saucepan": 45, "Cutting Board": 24, "Coffee Press": 32, "Mixing Bowl": 18, "Kettle": 49},
    ),
    "Furniture": (
        _EVEN,
        {"Armchair": 340, "Bookcase": 180, "Desk": 260, "Dining Table": 520, "Nightstand": 110, "Sofa": 780},
    ),
    "Lighting": (
        (1.2, 1.1, 1.0, 1.0, 0.9, 0.8, 0.8, 0.9, 1.0, 1.2, 1.3, 1.3),
        {"Desk Lamp": 42, "Floor Lamp": 98, "Lantern": 29, "Pendant Light": 120, "Reading Light": 24},
    ),
    "Garden": (
        (0.3, 0.5, 1.3, 1.9, 2.1, 1.7, 1.3, 1.1, 0.9, 0.6, 0.3, 0.2),
        {"Garden Hose": 38, "Hedge Shears": 33, "Lawn Mower": 310, "Patio Chair": 89, "Planter": 22, "Rake": 19},
    ),
    "Toys": (
        (0.6, 0.6, 0.7, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 1.0, 1.7, 2.8),
        {"Board Game": 34, "Building Blocks": 45, "Kite": 19, "Puzzle": 16, "Robot Kit": 79, "Train Set": 65},
    ),
    "Sports": (
        (1.1, 1.0, 1.1, 1.2, 1.3, 1.3, 1.2, 1.1, 1.0, 0.8, 0.8, 1.0),
        {"Basketball": 29, "Camping Tent": 190, "Dumbbell Set": 75, "Running Shoes": 110, "Tennis Racket": 95},
    ),
    "Electronics": (
        (0.8, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 1.0, 1.0, 1.0, 1.7, 1.6),
        {
            "Bluetooth Speaker": 65,
            "Digital Camera": 420,
            "Headphones": 89,
            "Keyboard": 55,
            "Monitor": 240,
            "Tablet": 330,
        },
    ),
    "Clothing": (
        (0.8, 0.8, 1.0, 1.1, 1.0, 1.0, 0.9, 1.0, 1.1, 1.1, 1.1, 1.3),
        {"Denim Jacket": 79, "Linen Shirt": 45, "Rain Coat": 95, "Scarf": 25, "Wool Sweater": 69, "Work Boots": 120},
    ),
    "Books": (
        (1.0, 0.9, 0.9, 0.9, 0.9, 1.0, 1.1, 1.1, 1.0, 1.0, 1.1, 1.5),
        {"Atlas": 48, "Cookbook": 32, "Field Guide": 24, "Mystery Novel": 14, "Poetry Collection": 17},
    ),
    "Bath": (
        _EVEN,
        {"Bath Mat": 22, "Bath Towel": 19, "Laundry Basket": 28, "Mirror": 64, "Shower Curtain": 24},
    ),
    "Office": (
        (1.1, 1.0, 1.0, 0.9, 0.9, 0.8, 0.9, 1.4, 1.3, 1.0, 0.9, 0.8),
        {"Desk Organizer": 21, "Fountain Pen": 38, "Label Printer": 85, "Notebook": 9, "Office Chair": 210},
    ),
    "Pets": (
        _EVEN,
        {"Aquarium": 140, "Bird Feeder": 24, "Cat Tower": 75, "Dog Bed": 48, "Dog Leash": 17, "Food Bowl": 11},
    ),
}
"Name: how well it sells from January to December, and what is sold at about which price."

VARIANTS = 6
"How many lines make each kind of product."

LINES = ("Alder", "Aspen", "Beacon", "Cedar", "Cobalt", "Compass", "Ember", "Everest", "Fjord", "Harbor", "Juniper",
         "Lakeside", "Meadow", "Nimbus", "Orchard", "Pioneer", "Quartz", "Summit", "Tundra", "Willow")  # fmt: skip

COUNTRIES = ("United States", "Canada", "Mexico", "Germany", "Italy", "Poland", "Vietnam", "India", "Japan", "Portugal")

FIRST_NAMES = (
    "Aaron Abigail Adam Alice Amara Amy Andre Anna Arjun Beatrice Ben Bianca Brandon Camila Carlos Carmen Chloe "
    "Daniel Daria David Deborah Diego Elena Elijah Emily Emma Eric Esther Ethan Fatima Felix Fiona Gabriel "
    "George Grace Hannah Hassan Helen Henry Hugo Ingrid Irene Isaac Isabel Ivan Jack Jacob Jasmine Jin Joanna "
    "Jonas Jorge Julia Karen Kenji Kevin Laura Leah Leo Liam Linda Lucas Lucia Marcus Maria Martin Maya Mei "
    "Michael Mila Mohamed Monica Nadia Nathan Nina Noah Nora Oliver Olivia Omar Oscar Paula Peter Priya Rachel "
    "Rafael Rebecca Robert Rosa Ruth Samir Samuel Sara Simon Sofia Stefan Susan Tara Theo Thomas Valeria Victor "
    "Wei William Yara Yusuf Zoe"
)
LAST_NAMES = (
    "Adams Alvarez Anderson Bailey Baker Bennett Brooks Brown Campbell Carter Castillo Chang Chen Clark Cohen "
    "Collins Cooper Cruz Davis Diaz Edwards Evans Fischer Fisher Flores Foster Garcia Gomez Gonzalez Gray Green "
    "Gupta Hall Harris Hayes Hernandez Hill Hoffman Howard Hughes Ibrahim Jackson James Jenkins Johnson Jones "
    "Kelly Khan Kim King Kowalski Kumar Lee Lewis Lopez Martin Martinez Meyer Miller Mitchell Moore Morales "
    "Morgan Morris Murphy Murray Myers Nelson Nguyen Novak Okafor Ortiz Owens Park Parker Patel Perez Peterson "
    "Phillips Powell Price Quinn Ramirez Reed Reyes Richards Rivera Roberts Robinson Rogers Ross Russell Sanchez "
    "Sanders Santos Schmidt Scott Shah Silva Singh Smith Stewart Stone Sullivan Suzuki Taylor Thompson Torres "
    "Turner Walker Wang Ward Watson Weber White Wilson Wong Wood Wright Yang Young Zhang"
)

SALARY = {"managing director": 212_000, "regional manager": 118_000, "store manager": 74_000, "sales associate": 41_000,
          "stock clerk": 36_500}  # fmt: skip

REASONS = ("damaged", "wrong item", "not as described", "no longer wanted", "arrived late")

TITLES = {
    1: ("Broke after a week", "Not what I ordered", "Would not buy again", "Waste of money"),
    2: ("Expected better", "Poor finish", "Too flimsy", "Disappointing"),
    3: ("Does the job", "Average", "Good enough for the price", "Okay, but slow delivery"),
    4: ("Good value", "Works well", "Happy with it", "Solid and simple"),
    5: ("Excellent", "Better than expected", "Love it", "Would buy again", "Perfect gift"),
}
