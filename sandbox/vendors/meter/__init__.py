"""What each answer costs, as the vendors' pricing pages have it: the bill the seller will get.

It knows nothing of the product that asks, nor of that product's stops. The rules:

* A refusal (any 4xx, 429, 5xx before the first byte) costs nothing; counting tokens is free.
* An accepted prompt is billed in full from then on, whatever comes of the answer.
* An answer is billed as far as it was generated: reasoning first, then what is said. When the
  connection is seen closed, generating ends. Nothing is generated faster than it is paced; without
  a pace, a frame is generated when it is written. A unary answer is generated evenly over its
  delay.
* An answer that ends in an error, or breaks off, is billed as far as it came, and marked `failed`:
  no vendor promises otherwise for a stream that has begun.
* Every inference of a request is a line of its own, at its own model and its own prompt's size:
  compaction, advisor and fallback beside the message.
* Tools that the vendor runs are billed by call, and what they found as input.
* `tier`, `geo` and `speed` are those really served.
"""

from sandbox.vendors.meter.bill import Bill as Bill
from sandbox.vendors.meter.bill import Line as Line
from sandbox.vendors.meter.bill import Work as Work
from sandbox.vendors.meter.meter import Meter as Meter
