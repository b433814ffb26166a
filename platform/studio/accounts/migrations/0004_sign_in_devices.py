from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_rights_end")]

    operations = [
        migrations.AddField(
            model_name="signinfailure",
            name="device",
            field=models.CharField(blank=True, db_default="", max_length=32),
        ),
        migrations.AddIndex(
            model_name="signinfailure",
            index=models.Index(fields=["address", "at"], name="sign_in_failure_source"),
        ),
    ]
