"""One small map in both forms, and what writes it into a file."""

from __future__ import annotations

LONG = """well,line,genotype,compound,dose,unit,control,batch,operator
B03,L1,SOD1 p.A5V,DMSO,0.1,%,vehicle,d1,kim
b4,L1,SOD1 p.A5V,riluzole,1,uM,,d1,kim
B05,L1,SOD1 p.A5V,riluzole,10,µM,,d1,lee
C03,L2,corrected,DMSO,,,vehicle,d1,kim
C04,L2,corrected,riluzole,500 nM,,,d2,kim
C05,L2,corrected,ref,30,uM,positive,d1,
"""

GRID = """line,1,2,3
A,L1,L1,L1
B,L2,L2,

compound,1,2,3
A,DMSO,ril,ril
B,DMSO,ril,

dose (uM),1,2,3
A,0,1,10
B,0,1,

control,1,2,3
A,vehicle,,
B,vehicle,,
"""


def write(tmp_path, text, name="map.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path
