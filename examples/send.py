"""Send one secure message: python send.py HOST PORT ADDRESS PASSWORD-FILE RECIPIENT [CERTIFICATE]"""

import smtplib, ssl, sys
from email.message import EmailMessage
from pathlib import Path

host, port, author, password_file, recipient, *certificate = sys.argv[1:]
mail = EmailMessage()
mail["From"], mail["To"], mail["Subject"] = author, recipient, "Your results"
mail.set_content("They are fine.")
with smtplib.SMTP_SSL(host, int(port), context=ssl.create_default_context(cafile=(certificate or [None])[0])) as server:
    server.login(author, Path(password_file).read_text().strip())
    server.send_message(mail)
